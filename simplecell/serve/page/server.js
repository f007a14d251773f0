// What is said to the server and what comes back.

/** No answer came; the message is a sentence for the reader. */
export class Refused extends Error {
  /**
   * @param {string} message
   * @param {number} status HTTP's, or 0 where the server could not be reached
   * @param {number} after seconds after which asking again is welcome
   */
  constructor(message, status = 0, after = 2) {
    super(message);
    this.status = status;
    this.after = after;
  }
}

// Here and nowhere else: whoever opens the page next does not find it.
let token = "";

export function useToken(text) {
  token = text.trim();
}

/** The models that the server holds. */
export async function models() {
  return (await call("v1/models")).models;
}

/**
 * What a model answers for one picture.
 * @param {{name: string, shows: boolean}} model
 * @param {File} file
 * @param {Record<string, string>} options
 * @param {AbortSignal} signal
 */
export async function predict(model, file, options, signal) {
  await readable(file);
  const query = new URLSearchParams({ ...options, model: model.name });
  if (model.shows) query.set("show", "true");
  const body = new FormData();
  body.append("picture", file, file.name);
  return (await call(`v1/predict?${query}`, { method: "POST", body, signal })).predictions[0];
}

/** A folder, or a file that has gone, would fail within the request, as if the server were to blame. */
async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Refused("This cannot be read: it is a folder, or it was moved.", 400);
  }
}

async function call(address, request = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch(address, { ...request, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer. It may have been stopped, or the network is down.");
  }
  if (!answer.ok) throw new Refused(await detail(answer), answer.status, seconds(answer));
  try {
    return await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server broke off in mid-answer, or what answers is no simplecell.");
  }
}

/** The sentence of application/problem+json; what stands between may answer otherwise. */
async function detail(answer) {
  try {
    const problem = await answer.json();
    if (problem.detail || problem.title) return String(problem.detail || problem.title);
  } catch {
    // no JSON: the status must do
  }
  return `The server refused with status ${answer.status}.`;
}

/** Retry-After in seconds: 1 to 60, whatever it says; a date, or none, is 2. */
function seconds(answer) {
  const asked = Number.parseInt(answer.headers.get("Retry-After") ?? "", 10);
  return Number.isFinite(asked) ? Math.min(60, Math.max(1, asked)) : 2;
}
