import type { StatusView } from "@holdover/control/api";

/**
 * A status in which every count of sessions is known, or null, and so is what follows from it. While the host is not linked
 * to control nobody can count, so whatever number stands in it is an old one.
 */
export function knownCounts(view: StatusView): StatusView {
  if (view.router.linked) return view;
  const services = view.services.map((service) => {
    const releases = service.releases.map((release) => {
      const instances = release.instances.map((instance) => Object.assign({}, instance, { sessions: null }));
      const retention = release.retention && { ...release.retention, wouldCut: null, retires: null };
      return Object.assign({}, release, { instances, sessions: null, retention });
    });
    return Object.assign({}, service, { releases, sessions: null });
  });
  return { ...view, services };
}
