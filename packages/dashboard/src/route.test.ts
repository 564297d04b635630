import { expect, test } from "vitest";
import { fragmentOf, routeOf, type Route } from "./route.ts";

test("every place has an address that leads back to it, whatever stands in a session key", () => {
  const places: Route[] = [
    { view: "overview", service: null },
    { view: "sessions", service: "rooms", release: "v1" },
    { view: "sessions", service: null, release: null },
    { view: "session", service: "rooms", key: "<b>&?#=%25 שלום 👩‍⚕️</b>" },
    { view: "audit", service: "rooms" },
  ];
  for (const place of places) expect(routeOf(fragmentOf(place))).toEqual(place);
});

test("an address that leads nowhere leads to the overview", () => {
  for (const fragment of ["", "#", "#content", "#/nowhere", "#/session?service=rooms"]) {
    expect(routeOf(fragment).view).toBe("overview");
  }
});
