// Hides a value's length: the padded size is the larger of 256 bytes and Padmé's, which leaks only about the
// logarithm of the length's logarithm and costs at most 12 %.
// Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", §4.

const LEAST = 256;

/** The padded size, in bytes, for `length` bytes (length included prefix and all). */
export function paddedLength(length: number): number {
  if (length <= LEAST) return LEAST;
  const exponent = Math.floor(Math.log2(length));
  const free = exponent - (Math.floor(Math.log2(exponent)) + 1);
  const block = 2 ** free;
  return Math.ceil(length / block) * block;
}
