/**
 * node:crypto, loaded by the first certificate or key that is read. Not by an import: that loads it for whoever only names the gate, and reads all
 * of its getters, of which webcrypto's alone loads twenty modules.
 */
export const crypto = () => process.getBuiltinModule('node:crypto')
