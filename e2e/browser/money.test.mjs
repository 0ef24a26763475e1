// What models cost and who pays for them, as a person sees and sets it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { axe, sideways, Stack, until } from "./harness.mjs";
import { ScriptedNode } from "./scripted-node.mjs";

describe("usage and models", { timeout: 180_000 }, () => {
  let stack;
  let node;
  let page;

  before(async () => {
    stack = await Stack.start();
    const project = await stack.project();
    node = await ScriptedNode.join(stack);
    // Budgets count what has a price.
    await stack.call("PATCH", "/api/models", {
      id: "scripted",
      provider: "custom",
      limits: { context: 100_000, output: 2_000, image: 0 },
      prices: { input: 1_000_000, cached_input: 1_000_000, cache_write: 1_000_000, output: 4_000_000 },
      enabled: true,
    });
    await stack.submit(project, "Count me");
    const { workspace } = await node.run();
    const { model_token: token } = await stack.call(
      "POST",
      `/api/nodes/${node.id}/tokens`,
      { workspace },
      { token: node.token },
    );
    const call = { model: "scripted", messages: [{ role: "user", content: "What does this repository do?" }] };
    await stack.call("POST", "/ai/v1/chat/completions", call, { token });
    await until("the call to be counted", async () => {
      const { total } = await stack.call("GET", "/api/usage");
      return total.calls === 1;
    });
    page = await stack.page();
  });
  after(async () => {
    node?.close();
    await stack?.stop();
  });

  test("what was used is shown by day, model and project, and everybody's to who runs it", async () => {
    await page.goto(`${stack.url}/usage`);
    const used = page.getByRole("region", { name: "Used this month" });
    const { lines, total } = await stack.call("GET", "/api/usage?by=day");
    await used.getByText(lines[0].key).waitFor();
    await used.getByRole("button", { name: "model" }).click();
    await used.getByRole("listitem").filter({ hasText: "scripted" }).waitFor();
    await used.getByRole("button", { name: "project" }).click();
    await used.getByRole("listitem").filter({ hasText: "harbour-books" }).waitFor();
    await used.getByRole("checkbox", { name: "Everybody's" }).check();
    await used.getByRole("button", { name: "user" }).click();
    const { name } = await stack.call("GET", "/api/auth/me");
    await used.getByRole("listitem").filter({ hasText: name }).waitFor();
    const tokens = (total.input_tokens + total.output_tokens).toLocaleString("en");
    await used.getByText(`${tokens} tokens`).waitFor();
    const link = used.getByRole("link", { name: "Download as CSV" });
    assert.match(await link.getAttribute("href"), /^\/api\/admin\/usage\?by=user&format=csv$/);
    assert.deepEqual(page.complaints, []);
  });

  test("one's limits are set by keyboard, and what is nearly used up is said", async () => {
    await page.goto(`${stack.url}/usage`);
    const budget = page.getByRole("region", { name: "Your budget" });
    await budget.getByText("without limit").first().waitFor();
    const { total } = await stack.call("GET", "/api/usage");
    const spent = total.input_tokens + total.output_tokens;
    const field = budget.getByLabel("Tokens a day");
    await field.fill("a few");
    await page.keyboard.press("Enter");
    await budget.getByRole("alert").filter({ hasText: "A limit is a number" }).waitFor();
    await field.fill(String(spent + 1));
    await page.keyboard.press("Tab");
    await page.keyboard.type("7.5");
    await page.keyboard.press("Enter");
    await budget.getByText("Nearly used up").waitFor();
    await budget.getByText("of $7.50").waitFor();
    const held = await stack.call("GET", "/api/budgets");
    assert.deepEqual(held.own, { daily_tokens: spent + 1, monthly_cost: 7_500_000 });
    await page.reload();
    await budget.getByText("Nearly used up").waitFor();
    assert.equal(await budget.getByLabel("Dollars a month").inputValue(), "7.50");
    assert.deepEqual(page.complaints, []);
  });

  test("a key is stored and never shown, and one's agents use it once one says so", async () => {
    await page.goto(`${stack.url}/settings`);
    const keys = page.getByRole("region", { name: "Your keys to model providers" });
    await keys.getByLabel("Provider").selectOption("custom");
    await keys.getByLabel("Address of the API").fill("https://10.0.0.1/v1");
    await keys.getByLabel("Key", { exact: true }).fill("key-canary");
    await keys.getByRole("button", { name: "Store the key" }).click();
    await keys.getByRole("alert").filter({ hasText: "not a public one" }).waitFor();
    page.complaints.length = 0;
    await keys.getByLabel("Address of the API").fill(`${stack.gatewayUrl}/v1`);
    await page.keyboard.press("Enter");
    const held = keys.getByRole("listitem").filter({ hasText: "custom" });
    await held.waitFor();
    await keys.getByText("The provider refuses this key").waitFor();
    assert.ok(!(await page.content()).includes("key-canary"));
    await held.getByRole("button", { name: "Switch off" }).click();
    await held.getByText("switched off").waitFor();
    assert.equal((await stack.call("GET", "/api/credentials")).credentials[0].active, false);

    const agents = page.getByRole("region", { name: "Who pays for each agent" });
    await agents.getByLabel("codex").selectOption("own-login");
    await agents.getByText("No login is stored yet").waitFor();
    const { agents: list } = await stack.call("GET", "/api/agents");
    const codex = list.find(({ agent }) => agent === "codex");
    assert.deepEqual([codex.mode, codex.chosen_by], ["own-login", "person"]);
    await agents.getByLabel("codex").selectOption("");
    await agents.getByText("No login is stored yet").waitFor({ state: "detached" });

    await held.getByRole("button", { name: "Remove" }).click();
    await held.waitFor({ state: "detached" });
    assert.deepEqual(page.complaints, []);
  });

  test("who runs the installation switches a model off and on; others only see it", async () => {
    const models = page.getByRole("region", { name: "Models" });
    const model = models.getByRole("listitem").filter({ hasText: "gpt-4.1-mini" });
    await model.getByRole("button", { name: "Switch off gpt-4.1-mini" }).click();
    await model.getByText("switched off").waitFor();
    const off = async () => {
      const list = await stack.call("GET", "/api/models");
      return list.models.find(({ id }) => id === "gpt-4.1-mini").enabled === false;
    };
    assert.ok(await off());
    await model.getByRole("button", { name: "Switch on gpt-4.1-mini" }).click();
    await model.getByText("switched off").waitFor({ state: "detached" });
    assert.ok(!(await off()));
    assert.deepEqual(page.complaints, []);
  });

  test("both pages are clean in axe, dark and light, wide and narrow, and scroll only down", async () => {
    for (const width of [1280, 375]) {
      await page.setViewportSize({ width, height: 800 });
      for (const colorScheme of ["dark", "light"]) {
        await page.emulateMedia({ colorScheme });
        for (const [where, region] of [["/usage", "Used this month"], ["/settings", "Models"]]) {
          await page.goto(stack.url + where);
          await page.getByRole("region", { name: region }).getByRole("listitem").first().waitFor();
          assert.deepEqual(await axe(page), [], `${where}, ${colorScheme}, ${width} px`);
          assert.deepEqual(await sideways(page), [], `${where} at ${width} px`);
        }
      }
    }
    assert.deepEqual(page.complaints, []);
  });
});
