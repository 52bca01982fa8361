// Pixels as programs on robots feed them to a float model.

/** (x - 127.5) / 127.5 for bytes 0..255, in `into` or a new array of the same length. */
export function signedPixels(pixels: Uint8Array, into = new Float32Array(pixels.length)): Float32Array {
  for (let i = 0; i < into.length; i++) into[i] = (pixels[i]! - 127.5) / 127.5;
  return into;
}
