// Coming in: claiming, signing in by link, and what is shown to who may not.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { axe, Stack } from "./harness.mjs";

/** The address that a route mints for who is signed in on the page. */
function minted(page, route) {
  return page.evaluate(async (route) => {
    const answer = await fetch(route, {
      method: "POST",
      headers: { "x-sam-csrf": "1", "content-type": "application/json" },
      body: "{}",
    });
    return (await answer.json()).url;
  }, route);
}

describe("coming in", { timeout: 300_000 }, () => {
  let stack;
  let page;

  before(async () => {
    stack = await Stack.start({ claim: false });
    page = await stack.page({ signedIn: false });
  });
  after(() => stack?.stop());

  test("an unclaimed installation asks for its claim token and lets its holder in", async () => {
    await page.goto(stack.url);
    await page.getByRole("heading", { name: "Claim this installation" }).waitFor();
    assert.deepEqual(await axe(page), []);
    assert.deepEqual(page.complaints, []);
    page.refused.push("/api/setup/claim");
    await page.getByLabel("Claim token").fill("wrong");
    await page.getByRole("button", { name: "Claim and sign in" }).click();
    await page.getByRole("alert").waitFor();

    await page.getByLabel("Claim token").fill(stack.claimToken);
    await page.getByRole("button", { name: "Claim and sign in" }).click();
    // Whoever claims is led through what is still to be set up.
    await page.getByRole("heading", { name: "Setup", level: 1 }).waitFor();
    await page.getByRole("region", { name: "3. Machines work" }).getByText("No machine of yours has joined.").waitFor();
    await page.getByRole("link", { name: "Go to projects" }).click();
    await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("with no project there is a first thing to do", async () => {
    await page.getByText("Add the first one").waitFor();
    await page.getByLabel("Repository").fill("/somewhere/on/the/machine");
    await page.getByRole("button", { name: "Add project" }).click();
    await page.waitForURL(/\/projects\/prj_/);
    await page.getByText("No conversations yet").waitFor();
  });

  test("a task without a machine says what it waits for, and how to get one", async () => {
    await page.getByLabel("What is to be done").fill("Anything");
    await page.keyboard.press("Control+Enter");
    await page.waitForURL(/\/sessions\/ses_/);
    await page.locator(".step-detail", { hasText: "waiting for a machine" }).waitFor();
    await page.getByRole("link", { name: "Join a machine" }).click();
    await page.getByRole("heading", { name: "Nodes" }).waitFor();
  });

  test("a machine's command is shown once it is asked for", async () => {
    await page.goto(`${stack.url}/nodes`);
    await page.getByText("No machine has joined yet").waitFor();
    await page.getByRole("button", { name: "Show the command" }).click();
    const line = await page.locator(".panel .command").textContent();
    assert.match(line, /^SAM_JOIN_TOKEN=sam_join_\S+ sam-vm-agent run --url http:\/\/127\.0\.0\.1:\d+ --state-dir/);
  });

  test("signing out ends the session, and a link signs in again, once", async () => {
    const made = await minted(page, "/api/auth/sign-in-links");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.equal(await page.getByText("Your session is over.").count(), 0);

    await page.goto(made);
    await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
    assert.ok(!page.url().includes("sam_lnk_"), "the secret has left the address bar");
    assert.deepEqual(page.complaints, []);

    const other = await stack.page({ signedIn: false });
    await other.goto(made);
    await other.getByRole("alert").filter({ hasText: "used before" }).waitFor();
    assert.ok(!other.url().includes("sam_lnk_"));
    assert.deepEqual(await axe(other), []);
  });

  test("an invite lets somebody new in, once, under a name of their own", async () => {
    const url = await minted(page, "/api/people/invites");
    const guest = await stack.page({ signedIn: false });
    await guest.goto(url);
    await guest.getByRole("heading", { name: "You are invited" }).waitFor();
    assert.ok(!guest.url().includes("sam_inv_"), "the secret has left the address bar");
    assert.deepEqual(await axe(guest), []);
    await guest.getByLabel("Your name").fill("Ben");
    await guest.getByRole("button", { name: "Come in" }).click();
    await guest.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
    await guest.getByText("Add the first one").waitFor();
    assert.deepEqual(guest.complaints, []);

    const late = await stack.page({ signedIn: false });
    await late.goto(url);
    await late.getByLabel("Your name").fill("Eve");
    await late.getByRole("button", { name: "Come in" }).click();
    await late.getByRole("alert").filter({ hasText: "used before" }).waitFor();
  });

  test("what is not there, or not one's own, is said to be neither", async () => {
    await page.goto(`${stack.url}/projects/prj_01jd8x0000000000000000000a`);
    await page.getByRole("heading", { name: "This project is not here" }).waitFor();
    await page.goto(`${stack.url}/nowhere`);
    await page.getByRole("heading", { name: "There is nothing at this address" }).waitFor();
  });

  test("a project that is not here is said to be so on a small screen as well", async () => {
    await page.setViewportSize({ width: 375, height: 740 });
    await page.goto(`${stack.url}/projects/prj_01jd8x0000000000000000000a`);
    await page.getByRole("heading", { name: "This project is not here" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "New task" }).count(), 0);
    await page.getByRole("link", { name: "Go to projects" }).click();
    await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
    await page.setViewportSize({ width: 1280, height: 860 });
  });

  test("who was signed out elsewhere is told so, and comes back to the same page", async () => {
    const made = await minted(page, "/api/auth/sign-in-links");
    const other = await stack.page({ signedIn: false });
    await other.goto(made);
    await other.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
    await other.getByRole("link", { name: "Nodes" }).click();
    await other.getByText("No machine has joined yet").waitFor();
    const back = await minted(page, "/api/auth/sign-in-links");
    await page.goto(`${stack.url}/settings`);
    await page.getByRole("button", { name: "End all but this one" }).click();
    await page.getByRole("button", { name: "End all but this one" }).waitFor({ state: "detached" });

    await other.getByRole("button", { name: "Show the command" }).click();
    await other.getByRole("alert").filter({ hasText: "Your session is over." }).waitFor();
    assert.deepEqual(await axe(other), []);
    await other.getByLabel("Sign-in link").fill(back);
    await other.getByRole("button", { name: "Sign in" }).click();
    await other.getByRole("heading", { name: "Nodes" }).waitFor();
    await other.context().close();
  });

  test("without a control plane the page says so and tries again when asked", async () => {
    await page.goto(stack.url);
    await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
    await page.route("**/api/**", (route) => route.abort());
    await page.reload();
    await page.getByRole("heading", { name: "The control plane does not answer" }).waitFor();
    await page.unroute("**/api/**");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
  });
});
