// Setting an installation up in the app: what is typed works and is not shown
// again, and who comes by themselves waits until somebody decides.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { axe, Stack } from "./harness.mjs";

const SECRET = "github-secret-canary";

describe("setup", { timeout: 180_000 }, () => {
  let stack;
  let page;

  before(async () => {
    stack = await Stack.start({ github: SECRET });
    page = await stack.page();
  });
  after(() => stack?.stop());

  const section = (name) => page.getByRole("region", { name });

  test("the page leads through what is to be set up, and shows no secret again", async () => {
    await page.goto(`${stack.url}/settings`);
    await page.getByRole("link", { name: "Set up this installation" }).click();
    await page.getByRole("heading", { name: "Setup", level: 1 }).waitFor();
    const github = section(/People sign in with GitHub/);
    await github.getByText("Nobody can sign in with GitHub here.").waitFor();
    await github.getByText(`${stack.url}/api/auth/github/callback`).waitFor();
    await section(/Models answer/).getByText("scripted").first().waitFor();
    await section(/What it runs on/).getByText("D1 answers.").waitFor();
    assert.deepEqual(await axe(page), []);

    await page.getByLabel("Client ID").fill("sam-app");
    await page.getByLabel("Client secret").fill(SECRET);
    await page.getByLabel("Who may come").selectOption("approval");
    await github.getByRole("button", { name: "Save" }).click();
    await github.getByText("GitHub knows the app and takes its secret.").waitFor();
    assert.equal(await page.getByLabel("Client secret").inputValue(), "");
    assert.equal((await page.content()).includes(SECRET), false);
    assert.match(await github.locator("label", { hasText: "Client secret" }).textContent(), /set /);
    await page.reload();
    await github.getByText("GitHub knows the app and takes its secret.").waitFor();
    assert.equal((await page.content()).includes(SECRET), false);
    assert.deepEqual(page.complaints, []);
  });

  test("who waits is let in, or declined", async () => {
    const come = async (login, id) => {
      const person = { id, login, name: login };
      await fetch(`${stack.githubUrl}/control/person`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(person),
      });
      const theirs = await stack.page({ signedIn: false });
      await theirs.goto(`${stack.url}/api/auth/github/start`);
      return theirs;
    };
    const olga = await come("olga", 7);
    await olga.getByText("An administrator has to let you in first.").waitFor();
    assert.deepEqual(await axe(olga), []);
    const eve = await come("eve", 8);
    await eve.getByText("An administrator has to let you in first.").waitFor();

    await page.getByRole("button", { name: "Check again" }).click();
    await page.getByRole("button", { name: "Let in olga" }).click();
    await page.getByRole("button", { name: "Let in olga" }).waitFor({ state: "detached" });
    assert.deepEqual(await axe(page), []);
    await page.getByRole("button", { name: "Decline eve" }).click();
    await page.getByRole("heading", { name: "Who waits to be let in" }).waitFor({ state: "detached" });

    await eve.goto(`${stack.url}/api/auth/github/start`);
    await eve.getByText("This account may not come in.").waitFor();
    const back = await come("olga", 7);
    await back.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
    assert.deepEqual(page.complaints, []);
  });
});
