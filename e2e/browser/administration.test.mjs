// Settings, usage, models and setup: a module that is fetched when the first of
// these pages is opened, and what can be seen and set there.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { axe, becomes, GITHUB_SECRET, sideways, Stack, until } from "./harness.mjs";
import { ScriptedNode } from "./scripted-node.mjs";

const LONG = "m".repeat(150);

describe("administration", { timeout: 300_000 }, () => {
  let stack;
  let node;
  let page;
  let project;

  before(async () => {
    stack = await Stack.start({ github: "unset" });
    project = await stack.project();
    node = await ScriptedNode.join(stack);
    // Budgets count what has a price.
    await stack.call("PATCH", "/api/models", {
      id: "scripted",
      provider: "custom",
      limits: { context: 100_000, output: 2_000, image: 0 },
      prices: { input: 1_000_000, cached_input: 1_000_000, cache_write: 1_000_000, output: 4_000_000 },
      enabled: true,
    });
    // One that nobody has priced, under a name that fits nowhere.
    await stack.call("PATCH", "/api/models", { id: LONG, provider: "custom" });
    await stack.submit(project, "Count me");
    const { workspace } = await node.run();
    const { model_token: token } = await stack.call("POST", `/api/nodes/${node.id}/tokens`, { workspace }, { token: node.token });
    const call = { model: "scripted", messages: [{ role: "user", content: "What does this repository do?" }] };
    await stack.call("POST", "/ai/v1/chat/completions", call, { token });
    await until("the call to be counted", async () => (await stack.call("GET", "/api/usage")).total.calls === 1);
    page = await stack.page();
  });
  after(async () => {
    node?.close();
    await stack?.stop();
  });

  const section = (name) => page.getByRole("region", { name });
  const heading = (name) => page.getByRole("heading", { name, level: 1 });

  test("its module is fetched with the first of its pages, once, and one moves between them as anywhere", async () => {
    const fetched = [];
    page.on("request", (request) => {
      if (request.url().includes("/assets/administration-")) fetched.push(new URL(request.url()).pathname);
    });
    await page.goto(`${stack.url}/projects/${project.id}`);
    await page.locator(".entry").first().waitFor();
    assert.deepEqual(fetched, []);

    await page.getByRole("link", { name: "Settings" }).click();
    await section("API tokens").waitFor();
    assert.equal(await page.title(), "Settings \u{b7} SAM");
    assert.deepEqual(fetched.map((name) => name.split(".").at(-1)).sort(), ["js", "wasm"]);
    const focused = () => page.evaluate(() => document.activeElement.textContent);
    await becomes("the heading to have the focus", focused, "Settings");

    await page.getByRole("navigation", { name: "Settings" }).getByRole("link", { name: "Usage" }).click();
    await section("Your budget").waitFor();
    assert.equal(new URL(page.url()).pathname, "/usage");
    await becomes("the heading to have the focus", focused, "Usage");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("models, keys");
    await page.keyboard.press("Enter");
    await section("Models").waitFor();
    await page.goBack();
    await heading("Usage").waitFor();
    await page.goBack();
    await section("API tokens").waitFor();
    await page.goBack();
    await page.locator(".entry").first().waitFor();
    await section("API tokens").waitFor({ state: "detached" });
    await page.goForward();
    await section("API tokens").waitFor();
    await page.keyboard.press("Escape");
    await heading("Projects").waitFor();
    assert.equal(fetched.length, 2);
    assert.deepEqual(page.complaints, []);
  });

  test("a module that does not arrive is said to be missing", async () => {
    page.refused.push("/assets/administration-");
    await page.route("**/assets/administration-*.js", (route) => route.abort());
    await page.goto(`${stack.url}/usage`);
    await heading("This page could not be fetched").waitFor();
    assert.deepEqual(await axe(page), []);
    await page.unroute("**/assets/administration-*.js");
    await page.getByRole("button", { name: "Load again" }).click();
    await section("Your budget").waitFor();
    page.refused.length = 0;
    assert.deepEqual(page.complaints, []);
  });

  test("what was used is shown by day, model and project, and everybody's to who runs it", async () => {
    await page.goto(`${stack.url}/usage`);
    const used = section("Used this month");
    const { lines, total } = await stack.call("GET", "/api/usage?by=day");
    await used.getByText(lines[0].key).first().waitFor();
    await used.getByRole("button", { name: "Model" }).click();
    await used.getByRole("listitem").filter({ hasText: "scripted" }).waitFor();
    await used.getByRole("button", { name: "Project" }).click();
    await used.getByRole("listitem").filter({ hasText: "harbour-books" }).waitFor();
    await used.getByRole("checkbox", { name: "Everybody's" }).check();
    await used.getByRole("button", { name: "Person" }).click();
    const { name } = await stack.call("GET", "/api/auth/me");
    await used.getByRole("listitem").filter({ hasText: name }).waitFor();
    const tokens = (total.input_tokens + total.output_tokens).toLocaleString("en");
    await used.getByText(`${tokens} tokens`).waitFor();
    await used.getByText("At this pace the month comes to").waitFor();
    const link = used.getByRole("link", { name: "Download as CSV" });
    assert.equal(await link.getAttribute("href"), "/api/admin/usage?by=user&format=csv");
    const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
    const text = Buffer.concat(await (await download.createReadStream()).toArray()).toString();
    assert.match(text, /^user,name,calls,/);
    await section("Compared with the provider's log").getByText("Never compared").waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("one's limits are set by keyboard, and what is nearly used up is said", async () => {
    await page.goto(`${stack.url}/usage`);
    const budget = section("Your budget");
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
    await budget.getByText("starts anew in").first().waitFor();
    const held = await stack.call("GET", "/api/budgets");
    assert.deepEqual(held.own, { daily_tokens: spent + 1, monthly_cost: 7_500_000 });
    await page.reload();
    await budget.getByText("Nearly used up").waitFor();
    await becomes("the limit in its field", () => budget.getByLabel("Dollars a month").inputValue(), "7.50");
    assert.deepEqual(page.complaints, []);
  });

  test("a key is stored and never shown, and one's agents use it once one says so", async () => {
    await page.goto(`${stack.url}/models`);
    const keys = section("Your keys to model providers");
    page.refused.push("/api/credentials/custom");
    await keys.getByLabel("Provider").selectOption("custom");
    await keys.getByLabel("Address of the API").fill("https://10.0.0.1/v1");
    await keys.getByLabel("Key", { exact: true }).fill("key-canary");
    await keys.getByRole("button", { name: "Store the key" }).click();
    await keys.getByRole("alert").filter({ hasText: "not a public one" }).waitFor();
    await keys.getByLabel("Address of the API").fill(`${stack.gatewayUrl}/v1`);
    await keys.getByLabel("Address of the API").press("Enter");
    const held = keys.getByRole("listitem").filter({ hasText: "custom" });
    await held.waitFor();
    await keys.getByText("The provider refuses this key").waitFor();
    assert.equal(await keys.getByLabel("Key", { exact: true }).inputValue(), "");
    assert.ok(!(await page.content()).includes("key-canary"));
    await held.getByRole("button", { name: "Switch off" }).click();
    await held.getByText("switched off").waitFor();
    assert.equal((await stack.call("GET", "/api/credentials")).credentials[0].active, false);

    const agents = section("Who pays for each agent");
    await agents.getByLabel("codex", { exact: true }).selectOption("own-login");
    await agents.getByText("No login is stored yet").waitFor();
    const codex = async () => (await stack.call("GET", "/api/agents")).agents.find(({ agent }) => agent === "codex");
    assert.deepEqual([(await codex()).mode, (await codex()).chosen_by], ["own-login", "person"]);
    await agents.getByLabel("codex", { exact: true }).selectOption("");
    await agents.getByText("No login is stored yet").waitFor({ state: "detached" });
    await agents.getByLabel("Agent", { exact: true }).selectOption("codex");
    await agents.getByLabel("Paid by").selectOption("own-key");
    await agents.getByRole("button", { name: "Set for everybody else" }).click();
    await until("everybody's choice", async () => (await codex()).chosen_by === "administrator");

    await held.getByRole("button", { name: "Remove" }).click();
    await held.waitFor({ state: "detached" });
    assert.deepEqual(page.complaints, []);
  });

  test("who runs the installation prices a model, switches it off and on, and makes it a default", async () => {
    await page.goto(`${stack.url}/models`);
    const models = section("Models");
    await models.getByLabel("Find").fill("GPT-4.1-m");
    const model = models.getByRole("listitem");
    await becomes("one model", () => model.count(), 1);
    await model.getByText("1,047,576 tokens of context").waitFor();
    await model.getByRole("button", { name: "Switch off gpt-4.1-mini" }).click();
    await model.getByText("switched off").waitFor();
    const view = async (wanted) => (await stack.call("GET", "/api/models")).models.find(({ id }) => id === wanted);
    assert.equal((await view("gpt-4.1-mini")).enabled, false);
    await model.getByRole("button", { name: "Switch on gpt-4.1-mini" }).click();
    await model.getByText("switched off").waitFor({ state: "detached" });

    await models.getByLabel("Find").fill(LONG);
    await model.getByText("not priced").waitFor();
    assert.equal(await model.getByRole("button", { name: "Switch on" }).count(), 0);
    await model.getByRole("button", { name: "Price" }).click();
    await model.getByRole("button", { name: "Save and switch on" }).click();
    await model.getByRole("alert").filter({ hasText: "Every field takes a number" }).waitFor();
    const fields = { "Tokens of context": "8000", "Tokens of output": "2000", "Tokens an image": "0", Input: "0.25", "Cached input": "0", "Written to the cache": "0", Output: "1.5" };
    for (const [label, text] of Object.entries(fields)) await model.getByLabel(label, { exact: true }).fill(text);
    await model.getByLabel("Output", { exact: true }).press("Enter");
    await model.getByText("$0.25 in, $0.00 cached, $1.50 out for a million tokens").waitFor();
    const priced = await view(LONG);
    assert.deepEqual([priced.enabled, priced.prices.output], [true, 1_500_000]);

    await section("Used where nobody names a model").getByLabel("Titles of tasks").selectOption("scripted");
    await until("the default", async () => (await view("scripted")).default_for.includes("task_title"));
    await models.getByRole("button", { name: "Ask the providers for new models" }).click();
    await models.getByText("Could not be asked").waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("setup leads through what is missing, and shows no secret again", async () => {
    await page.goto(`${stack.url}/setup`);
    const github = section("1. People sign in with GitHub");
    await github.getByText("Nobody can sign in with GitHub here.").waitFor();
    await github.getByText(`${stack.url}/api/auth/github/callback`).waitFor();
    await section("2. Models answer").getByText("scripted").first().waitFor();
    await section("3. Machines work").getByText("1 machine of yours has joined.").waitFor();
    await section("What it runs on").getByText("D1 answers.").waitFor();

    await page.getByLabel("Client ID").fill("sam-app");
    await page.getByLabel("Client secret").fill(GITHUB_SECRET);
    await page.getByLabel("Who may come").selectOption("approval");
    await github.getByRole("button", { name: "Save" }).click();
    await github.getByText("GitHub knows the app and takes its secret.").waitFor();
    assert.equal(await page.getByLabel("Client secret").inputValue(), "");
    assert.equal((await page.content()).includes(GITHUB_SECRET), false);
    await page.reload();
    await github.getByText("GitHub knows the app and takes its secret.").waitFor();
    assert.match(await github.locator("label", { hasText: "Client secret" }).textContent(), /set /);
    assert.equal((await page.content()).includes(GITHUB_SECRET), false);
    assert.deepEqual(page.complaints, []);
  });

  test("who does not run the installation is offered what is theirs", async () => {
    const { url } = await stack.call("POST", "/api/people/invites", {});
    const guest = await stack.page({ signedIn: false });
    await guest.goto(url);
    await guest.getByLabel("Your name").fill("Ben");
    await guest.getByRole("button", { name: "Come in" }).click();
    await guest.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
    await guest.goto(`${stack.url}/usage`);
    await guest.getByText("No model was called this month.").waitFor();
    assert.equal(await guest.getByRole("checkbox").count(), 0);
    assert.equal(await guest.getByRole("link", { name: "Setup" }).count(), 0);
    await guest.getByRole("link", { name: "Models" }).click();
    await guest.getByText("gpt-4.1-mini", { exact: true }).first().waitFor();
    assert.equal(await guest.getByRole("button", { name: /^Switch|^Price/ }).count(), 0);
    assert.deepEqual(guest.complaints, []);
    await guest.context().close();
  });

  test("people are invited, given a budget, shut out, let back in and removed", async () => {
    await page.goto(`${stack.url}/people`);
    const invites = section("Invites");
    await invites.getByLabel("For whom").fill("Dora");
    await page.keyboard.press("Enter");
    await invites.getByRole("button", { name: "Take back the invite for Dora" }).click();
    await invites.getByText("None is open.").waitFor();
    await invites.getByLabel("For whom").fill("Cleo");
    await page.keyboard.press("Enter");
    await invites.getByRole("listitem").filter({ hasText: "Cleo" }).waitFor();
    const url = await invites.getByRole("button", { name: /^Copy invite/ }).locator("code").textContent();

    const guest = await stack.page({ signedIn: false });
    await guest.goto(url);
    await guest.getByLabel("Your name").fill("Cleo");
    await guest.getByRole("button", { name: "Come in" }).click();
    await guest.getByRole("heading", { name: "Projects", level: 1 }).waitFor();

    await page.reload();
    const cleo = section("People").getByRole("listitem").filter({ hasText: "Cleo" });
    await cleo.getByRole("button", { name: "Budget Cleo" }).click();
    await cleo.getByText("0, without limit").first().waitFor();
    await cleo.getByLabel("Tokens a day").fill("1000");
    await page.keyboard.press("Enter");
    await cleo.getByText("0 of 1,000").waitFor();
    assert.deepEqual(await axe(page), []);
    await guest.goto(`${stack.url}/usage`);
    await guest.getByText("0 of 1,000").waitFor();

    await cleo.getByRole("button", { name: "Shut out Cleo" }).click();
    await cleo.getByText("shut out since").waitFor();
    guest.refused.push("/api/");
    await guest.getByRole("button", { name: "Set limits" }).click();
    await guest.getByRole("alert").filter({ hasText: "Your account is suspended." }).waitFor();
    await guest.context().close();
    await cleo.getByRole("button", { name: "Let back in Cleo" }).click();
    await cleo.getByText("shut out since").waitFor({ state: "detached" });
    await cleo.getByLabel("Cleo", { exact: true }).selectOption("admin");
    const person = async () => (await stack.call("GET", "/api/people")).people.find(({ name }) => name === "Cleo");
    await until("the role", async () => (await person()).role === "admin");
    await cleo.getByRole("button", { name: "Remove Cleo" }).click();
    await cleo.getByRole("button", { name: "Remove Cleo for good" }).click();
    await cleo.waitFor({ state: "detached" });
    assert.equal(await person(), undefined);

    // Somebody has to run the installation: the refusal is said, and the list shows what holds.
    page.refused.push("/api/people/");
    const own = section("People").getByRole("listitem").first().getByRole("combobox");
    await own.selectOption("member");
    await page.getByRole("alert").filter({ hasText: "Somebody has to run the installation" }).waitFor();
    await becomes("the role that holds", () => own.inputValue(), "admin");
    await page.getByRole("button", { name: "Dismiss" }).click();
    page.refused.length = 0;
    assert.deepEqual(page.complaints, []);
  });

  test("every page is clean in axe, dark and light, wide and narrow, and scrolls only down", async () => {
    const pages = { "/usage": "Used this month", "/models": "Models", "/people": "Invites", "/setup": "What it runs on", "/settings": "API tokens" };
    for (const width of [1280, 375, 320]) {
      await page.setViewportSize({ width, height: 800 });
      for (const [where, last] of Object.entries(pages)) {
        await page.emulateMedia({ colorScheme: "dark" });
        await page.goto(stack.url + where);
        await section(last).waitFor();
        await until("everything to be read", async () => (await page.locator(".skeleton").count()) === 0);
        assert.deepEqual(await sideways(page), [], `${where} at ${width} px`);
        for (const colorScheme of width === 320 ? [] : ["dark", "light"]) {
          await page.emulateMedia({ colorScheme });
          assert.deepEqual(await axe(page), [], `${where}, ${colorScheme}, ${width} px`);
        }
      }
    }
    await page.setViewportSize({ width: 1280, height: 860 });
    assert.deepEqual(page.complaints, []);
  });

  test("what cannot be read says why, and who is signed out is asked to sign in", async () => {
    await page.route("**/api/usage*", (route) => route.abort());
    page.refused.push("/api/");
    await page.goto(`${stack.url}/usage`);
    await section("Used this month").getByRole("alert").filter({ hasText: "does not answer" }).waitFor();
    await section("Your budget").getByText("of $7.50").waitFor();
    await page.unroute("**/api/usage*");
    const { sessions } = await stack.call("GET", "/api/auth/sessions");
    for (const { handle, current } of sessions) {
      if (!current) await stack.call("DELETE", `/api/auth/sessions/${handle}`);
    }
    await section("Used this month").getByRole("button", { name: "Model" }).click();
    await page.getByRole("alert").filter({ hasText: "Your session is over." }).waitFor();
    assert.equal(await section("Used this month").count(), 0);
  });
});
