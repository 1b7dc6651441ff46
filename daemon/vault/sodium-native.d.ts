// The part of sodium-native that the vault uses; the package ships no types. Buffers may lie in a SharedArrayBuffer.
declare module 'sodium-native' {
  const sodium: {
    /** Locks the pages; throws when the system refuses. */
    sodium_mlock(buffer: Uint8Array): void;
    /** Zeroes and unlocks. */
    sodium_munlock(buffer: Uint8Array): void;
    sodium_memzero(buffer: Uint8Array): void;
    /** Writes `ciphertext.length - 16` bytes to `message`; throws when the tag is wrong. */
    crypto_aead_xchacha20poly1305_ietf_decrypt(
      message: Uint8Array,
      secretNonce: null,
      ciphertext: Uint8Array,
      associatedData: Uint8Array,
      nonce: Uint8Array,
      key: Uint8Array,
    ): number;
  };
  export default sodium;
}
