// IEEE 754 half precision to single precision, by a table of all 65,536 patterns (made on first use, 256 KB).

let table: Float32Array | undefined;

/** The float32 values of float16 bit patterns; exact, since every half is a single. */
export function widenFloat16(patterns: Uint16Array): Float32Array {
  table ??= makeTable();
  const out = new Float32Array(patterns.length);
  for (let i = 0; i < out.length; i++) out[i] = table[patterns[i]!]!;
  return out;
}

function makeTable(): Float32Array {
  const values = new Float32Array(65536);
  for (let pattern = 0; pattern < 65536; pattern++) {
    const sign = pattern & 0x8000 ? -1 : 1;
    const exponent = (pattern >> 10) & 0x1f;
    const fraction = pattern & 0x3ff;
    // exponent 0: subnormal, 2^-24 * fraction; 31: infinity or NaN; otherwise 2^(exponent - 15) * (1 + fraction / 1024).
    if (exponent === 31) values[pattern] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else values[pattern] = sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
  }
  return values;
}

/** The nearest float16 patterns, ties to even; what is too large becomes infinite. */
export function narrowToFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.slice().buffer);
  return Uint16Array.from(bits, pattern => {
    const sign = (pattern >>> 16) & 0x8000;
    const exponent = ((pattern >>> 23) & 0xff) - 127;
    const fraction = pattern & 0x7fffff;
    if (exponent === 128) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
    if (exponent > 15) return sign | 0x7c00;
    if (exponent < -25) return sign;
    // Subnormal halves have the exponent -14 and lose their leading one. Rounding may carry into the exponent: that is right.
    const shift = exponent < -14 ? -1 - exponent : 13;
    const whole = exponent < -14 ? fraction | 0x800000 : ((exponent + 15) << 23) | fraction;
    const half = whole >>> shift;
    const rest = whole & ((1 << shift) - 1);
    const tie = 1 << (shift - 1);
    return sign | (half + (rest > tie || (rest === tie && (half & 1) === 1) ? 1 : 0));
  });
}
