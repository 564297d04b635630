import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // The page's Content-Security-Policy lets nothing run or be styled from within the document.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
