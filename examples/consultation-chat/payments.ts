/** A payment service elsewhere takes so long at the most, ms. */
const WITHIN_MS = 5000;
/** It is asked again after this, ms. */
const AGAIN_MS = 200;

export interface Capture {
  /** Names the payment: captured twice under one name it is captured once. */
  readonly room: string;
  /** The service refuses a fence below one that it has seen for this room: a process that has lost the room gets nothing. */
  readonly fence: number;
  readonly cents: number;
}

/**
 * Captures a payment at PAYMENTS_URL, or pretends to where there is none.
 * @param lost ends the attempts: the room is somebody else's now, and so is its payment
 */
export async function settle(capture: Capture, lost: AbortSignal): Promise<void> {
  const { PAYMENTS_URL: url } = process.env;
  if (!url) return;
  for (;;) {
    lost.throwIfAborted();
    try {
      const signal = AbortSignal.any([lost, AbortSignal.timeout(WITHIN_MS)]);
      const answer = await fetch(url, { method: "POST", body: JSON.stringify(capture), signal });
      if (answer.ok) return;
      if (answer.status === 409) throw new Refused(`the payment service refused fence ${capture.fence}`);
    } catch (thrown) {
      if (thrown instanceof Refused) throw thrown;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

class Refused extends Error {}
