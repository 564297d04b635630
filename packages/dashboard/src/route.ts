import { signal } from "@preact/signals";

/** Where a person is in the page; told in the fragment of the address, so that it can be sent to somebody and gone back from. */
export type Route =
  | { readonly view: "overview"; readonly service: string | null }
  | { readonly view: "sessions"; readonly service: string | null; readonly release: string | null }
  | { readonly view: "session"; readonly service: string; readonly key: string }
  | { readonly view: "audit"; readonly service: string | null };

export function routeOf(fragment: string): Route {
  const [path = "", query = ""] = fragment.replace(/^#\/?/, "").split("?", 2);
  const params = new URLSearchParams(query);
  const service = params.get("service");
  const key = params.get("key");
  if (path === "session" && service !== null && key !== null) return { view: "session", service, key };
  if (path === "sessions") return { view: "sessions", service, release: params.get("release") };
  if (path === "audit") return { view: "audit", service };
  return { view: "overview", service };
}

export function fragmentOf(route: Route): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(route)) {
    if (name !== "view" && typeof value === "string") params.set(name, value);
  }
  const path = route.view === "overview" ? "" : route.view;
  return params.size > 0 ? `#/${path}?${params.toString()}` : `#/${path}`;
}

export const route = signal<Route>({ view: "overview", service: null });

export function followAddress(): void {
  const read = (): void => {
    route.value = routeOf(location.hash);
  };
  addEventListener("hashchange", read);
  read();
}

export function go(to: Route): void {
  location.hash = fragmentOf(to);
}
