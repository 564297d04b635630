import { render } from "preact";
import { App } from "./app.tsx";
import { connect } from "./data/connection.ts";
import { followAudit } from "./data/live-audit.ts";
import { followAddress } from "./route.ts";
import { followTheme } from "./theme.ts";

followTheme();
followAudit();
connect();
followAddress();
const page = document.querySelector("#page");
if (page) render(<App />, page);
