export * from './items.ts'
