import type { Clock, Member, Membership } from "@holdover/core";
import type { Authority } from "../authority.ts";
import { membershipView, revokeRequest, rotateRequest, type MembershipView } from "./membership-views.ts";
import { actorHeader, failures, type App, type RouteContext } from "./route.ts";

/** What the API needs of the authority. */
export type MembershipOperations = Pick<Authority, "show" | "rotate" | "revoke">;

/** Which workers belong here, and the keys that say so. */
export function addMembershipRoutes(
  app: App,
  { actorOf }: Pick<RouteContext, "actorOf">,
  authority: MembershipOperations,
  clock: Clock,
): void {
  const viewOf = ({ epoch, keys, members }: Membership): MembershipView => {
    const nowMs = clock.now();
    return {
      epoch,
      keys: [...keys],
      members: members.map((member) => Object.assign({ state: stateOf(member, nowMs) }, member)),
    };
  };

  app.get(
    "/v1/membership",
    {
      config: { role: "viewer" },
      schema: {
        operationId: "getMembership",
        tags: ["membership"],
        summary: "The epoch, the signing keys and the members",
        response: { 200: membershipView, ...failures() },
      },
    },
    async () => viewOf(authority.show()),
  );

  app.post(
    "/v1/membership/rotate",
    {
      config: { role: "admin" },
      schema: {
        operationId: "rotateMembership",
        tags: ["membership"],
        summary: "Take a new signing key",
        description: "The one before goes on signing for a day, so that whoever knows only that one follows.",
        headers: actorHeader,
        body: rotateRequest,
        response: {
          200: membershipView,
          ...failures("SIGNING_KEYS_MOST", "KEY_UNREADABLE", "STORE_FAILED", "LINK_DOWN", "NOT_IN_FORCE"),
        },
      },
    },
    (request) => authority.rotate(actorOf(request), request.body.reason ?? "asked for by the API").then(viewOf),
  );

  app.post(
    "/v1/membership/revoke",
    {
      config: { role: "admin" },
      schema: {
        operationId: "revokeMember",
        tags: ["membership"],
        summary: "Take the membership of an instance back",
        description: "It gets no session and no certificate any more. Sessions that run on it are left alone.",
        headers: actorHeader,
        body: revokeRequest,
        response: {
          200: membershipView,
          ...failures("MEMBER_UNKNOWN", "STORE_FAILED", "LINK_DOWN", "NOT_IN_FORCE"),
        },
      },
    },
    (request) => {
      const { instance, reason } = request.body;
      return authority.revoke(instance, actorOf(request), reason).then(viewOf);
    },
  );
}

function stateOf({ revokedAtMs, untilMs }: Member, nowMs: number): "valid" | "expired" | "revoked" {
  if (revokedAtMs !== null) return "revoked";
  return nowMs < untilMs ? "valid" : "expired";
}
