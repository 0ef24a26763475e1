// Text from an agent, a tool or a repository is shown and can do nothing: the
// same hostile strings go through every field a machine can write.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { conversation, Stack, until } from "./harness.mjs";
import { ScriptedNode } from "./scripted-node.mjs";

const CORPUS = [
  "<script>window.hit = 1</script>",
  "<img src=x onerror='window.hit = 1'>",
  "<svg/onload=window.hit=1>",
  "<svg><script>window.hit = 1</script></svg>",
  "<iframe srcdoc='<script>parent.hit = 1</script>'></iframe>",
  "<iframe src='javascript:parent.hit=1'></iframe>",
  "<a href='javascript:window.hit=1'>raw</a>",
  "[link](javascript:window.hit=1)",
  "[link](JaVaScRiPt:window.hit=1)",
  "[link](java\tscript:window.hit=1)",
  "[link](&#106;avascript:window.hit=1)",
  "[link](data:text/html,<script>window.hit=1</script>)",
  "![image](https://tracker.example/pixel.png)",
  "![image](javascript:window.hit=1)",
  "<javascript:window.hit=1>",
  "<details open ontoggle=window.hit=1>",
  "<body onload=window.hit=1>",
  "<style>* { display: none !important }</style>",
  "<link rel=stylesheet href=https://tracker.example/x.css>",
  "<base href=https://tracker.example/>",
  "<meta http-equiv=refresh content='0;url=https://tracker.example/'>",
  "<form action=https://tracker.example/><button>send</button></form>",
  "```\"><img src=x onerror=window.hit=1>\ncode\n```",
  "`<img src=x onerror=window.hit=1>`",
  "| <img src=x onerror=window.hit=1> |\n|-|\n| <script>window.hit=1</script> |",
  "# <img src=x onerror=window.hit=1>",
  "\u001b]8;;javascript:window.hit=1\u0007click\u001b]8;;\u0007",
  "{{constructor.constructor('window.hit=1')()}}",
  "\u202e<script>window.hit = 1</script>",
  "window.hit = 1\r// harmless",
];

/** What no text may turn into. */
const FORBIDDEN =
  "script, img, iframe, object, embed, style, link, base, meta, form, video, audio, [onerror], [onload], [ontoggle], a:not([href^='http://']):not([href^='https://']):not([href^='mailto:'])";

describe("hostile text", { timeout: 300_000 }, () => {
  let stack;
  let project;
  let node;
  let page;
  let submitted;

  before(async () => {
    stack = await Stack.start();
    project = await stack.project();
    node = await ScriptedNode.join(stack);
    submitted = await stack.submit(project, CORPUS.join("\n\n"));
    const run = await node.run();
    const ended = { ended_at: Date.now() };
    for (const evil of CORPUS) {
      await node.rows(run, [
        { kind: "text", body: { text: evil, ...ended } },
        { kind: "thought", body: { text: evil, ...ended } },
        { kind: "plan", body: { entries: [{ content: evil, status: "pending" }] } },
        { kind: "notice", author: "system", body: { level: "warning", code: evil, text: evil, hint: evil } },
        {
          kind: "tool",
          body: {
            name: evil,
            title: evil,
            tool_kind: "execute",
            status: "failed",
            arguments: JSON.stringify({ command: evil, [evil]: evil }),
            locations: [{ path: evil }],
            output: evil,
            ...ended,
          },
        },
        {
          kind: "tool",
          body: {
            title: evil,
            tool_kind: "edit",
            status: "completed",
            arguments: evil,
            diffs: [{ path: evil, unified: `@@ -1 +1 @@\n-${evil}\n+${evil}`, added: 1, removed: 1 }],
            ...ended,
          },
        },
      ]);
    }
    page = await stack.page();
    await page.goto(stack.url + conversation(project, submitted.session));
    await until("all rows", async () => (await page.locator(".log > .row").count()) > CORPUS.length * 6);
  });
  after(async () => {
    node?.close();
    await stack?.stop();
  });

  test("becomes no element, attribute or address, wherever it is shown", async () => {
    // Everything is unfolded, so that everything is drawn.
    for (;;) {
      const folded = page.locator(".fold[aria-expanded=false]");
      if ((await folded.count()) === 0) break;
      await folded.evaluateAll((buttons) => buttons.forEach((button) => button.click()));
    }
    await page.locator("details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
    assert.deepEqual(
      await page.locator(`.log :is(${FORBIDDEN})`).evaluateAll((all) => all.map((one) => one.outerHTML)),
      [],
    );
  });

  test("is read as it was written", async () => {
    const text = await page.locator(".log").textContent();
    for (const shown of ["<script>window.hit = 1</script>", "<img src=x onerror=window.hit=1>", "<base href=https://tracker.example/>"]) {
      assert.ok(text.includes(shown), shown);
    }
  });

  test("is read in the order in which it is stored, and hides nothing before it", async () => {
    const text = await page.evaluate(() => document.documentElement.textContent + document.title);
    assert.doesNotMatch(text, /[\u202a-\u202e\u2066-\u2069]/);
    const shown = await page.locator(".row.tool .diff .line.added", { hasText: "harmless" }).first().textContent();
    assert.match(shown, /window\.hit = 1\u240d\/\/ harmless/);
    const command = await page.locator(".row.tool .command", { hasText: "harmless" }).first().textContent();
    assert.match(command, /window\.hit = 1\u240d\/\/ harmless/);
  });

  test("runs nothing, loads nothing and leaves the page where it is", async () => {
    for (const link of await page.locator(".log a").all()) {
      assert.equal(await link.getAttribute("target"), "_blank");
      assert.match(await link.getAttribute("rel"), /noopener/);
    }
    assert.equal(await page.evaluate(() => window.hit), undefined);
    assert.ok(page.url().endsWith(submitted.session));
    assert.deepEqual(page.complaints, []);
  });

  test("the title of a conversation is text as well, in the list and in the tab", async () => {
    assert.equal(await page.locator(`.list-pane :is(script, img, iframe)`).count(), 0);
    assert.ok((await page.title()).startsWith("<script>window.hit = 1</script>"));
  });
});
