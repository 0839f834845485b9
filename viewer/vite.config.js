import { defineConfig } from "vite";

// One classic script and one sheet beside index.html: modules do not load from file://, and the server hands out
// nothing but what lies in one folder.
export default defineConfig({
  base: "./",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "../lakehouse/viewing/front",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: false,
    lib: { entry: "src/main.tsx", formats: ["iife"], name: "petrel", fileName: () => "app.js", cssFileName: "app" },
  },
  publicDir: "public",
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
});
