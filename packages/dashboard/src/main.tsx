import { render } from "preact";

const page = document.querySelector("#page");
if (page) render(<main>Holdover</main>, page);
