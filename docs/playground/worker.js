// Runs the project's own simulator, by Python in the browser, beside the page so that it stays
// responsive. Takes the sources once, then requests; answers with what pages/playground_bridge.py gives.
import { loadPyodide } from "../vendor/pyodide/pyodide.mjs";

let play;

async function start(sources) {
  const python = await loadPyodide({ indexURL: new URL("../vendor/pyodide/", import.meta.url).href });
  for (const [path, text] of Object.entries(sources)) {
    const file = `/program/${path}`;
    python.FS.mkdirTree(file.slice(0, file.lastIndexOf("/")));
    python.FS.writeFile(file, text);
  }
  play = python.runPython(
    "import sys; sys.path.insert(0, '/program')\nfrom pages.playground_bridge import play_as_json\nplay_as_json",
  );
}

self.onmessage = async ({ data }) => {
  try {
    if (data.sources) {
      await start(data.sources);
      self.postMessage({ ready: true });
    } else {
      self.postMessage({ number: data.number, answer: JSON.parse(play(JSON.stringify(data.request))) });
    }
  } catch (error) {
    self.postMessage({ number: data.number, failed: String(error) });
  }
};
