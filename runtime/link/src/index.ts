export { type CoreSide, createCoreSide } from './core-side.ts'
export { createEdgeSide, type EdgeSide, LINK_PATH, LINK_PROTOCOL } from './edge-side.ts'
export * from './items.ts'
export { LinkDown } from './protocol.ts'
