// What an exported file says of itself. ONNX Runtime's JavaScript does not hand it out; it is read from the file.

const METADATA = 14; // the number of ModelProto's field metadata_props (onnx.proto)
const VARINT = 0, EIGHT_BYTES = 1, BYTES = 2, FOUR_BYTES = 5; // kinds of fields in Protocol Buffers

/**
 * The metadata of an ONNX model: "task", "classes" (a JSON list), "input" and others.
 * @param {Uint8Array} model
 * @returns {Record<string, string>}
 */
export function metadata(model) {
  const told = {};
  for (const [field, content] of fields(model)) {
    if (field !== METADATA) continue;
    const texts = [...fields(content)].map(([, text]) => new TextDecoder().decode(text));
    const [key, value = ""] = texts;
    told[key] = value;
  }
  return told;
}

/** Number and content of those fields of a message that have a length; numbers are passed over. */
function* fields(message) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      value += (byte % 128) * scale; // no shift: a file may be longer than 2 GB
      if (byte < 128) return value;
      if (byte === undefined) throw new Error("this is no ONNX file");
    }
  };
  while (at < message.length) {
    const tag = varint();
    const [field, kind] = [Math.floor(tag / 8), tag % 8];
    if (kind === VARINT) varint();
    else if (kind === EIGHT_BYTES) at += 8;
    else if (kind === FOUR_BYTES) at += 4;
    else if (kind === BYTES) {
      const length = varint();
      yield [field, message.subarray(at, at + length)];
      at += length;
    } else throw new Error("this is no ONNX file");
  }
}
