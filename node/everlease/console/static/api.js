// The node's JSON. One request of a kind at a time; who asks says what to do with trouble.

const base = new URL("api/v1/", document.baseURI);

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let token = "";

/** A token to show from now on: kept in this page alone, and gone with it. */
export function show(secret) {
  token = secret.trim();
}

export async function get(place, query = {}, signal = undefined) {
  const url = new URL(place, base);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const limit = AbortSignal.timeout(8000);
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(url, { cache: "no-store", headers, signal: signal ? AbortSignal.any([signal, limit]) : limit });
  const body = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, body.error);
  return body;
}

/** Call `work` every `period` ms while the page is seen; trouble is told, and tried again. */
export function every(period, work, told) {
  let timer;
  const turn = async () => {
    clearTimeout(timer);
    if (!document.hidden) {
      try {
        await work();
        told(null);
      } catch (error) {
        told(error);
      }
    }
    timer = setTimeout(turn, period);
  };
  document.addEventListener("visibilitychange", () => document.hidden || turn());
  return turn();
}
