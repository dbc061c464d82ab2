/**
 * node:crypto, loaded by the first certificate or key that is read: 6 to 7 ms. Not by an import: that loads it for whoever only names the gate, and
 * reads all of its getters, webcrypto's among them, which is one more.
 */
export const crypto = () => process.getBuiltinModule('node:crypto')
