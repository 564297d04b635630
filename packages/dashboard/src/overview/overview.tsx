import { status } from "../data/store.ts";
import { FirstSteps } from "./first-steps.tsx";
import { ServicePanel } from "./service-panel.tsx";

/** Services that are open from the start; of more than that only what is asked for. */
const OPEN_SERVICES = 3;

/** Everything that is happening, at one look. */
export function Overview() {
  const view = status.value;
  if (!view) return null;
  const { services } = view;
  const many = services.length > OPEN_SERVICES;
  return (
    <>
      <h1 class="hidden">Overview</h1>
      <FirstSteps services={services} />
      {services.map((service) => (
        <ServicePanel key={service.name} service={service} openAtFirst={!many} />
      ))}
    </>
  );
}
