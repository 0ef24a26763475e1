// Ways in for programs, as a person meets them: comparing a code, making and
// revoking API tokens, ending sessions.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { axe, Stack } from "./harness.mjs";

const GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code";

describe("programs", { timeout: 300_000 }, () => {
  let stack;
  let page;

  before(async () => {
    stack = await Stack.start();
    page = await stack.page();
  });
  after(() => stack?.stop());

  const begin = (more) => stack.call("POST", "/api/auth/device/code", { client_id: "a-program", ...more });
  const poll = async ({ device_code }) => {
    const answer = await fetch(`${stack.url}/api/auth/device/token`, {
      method: "POST",
      body: new URLSearchParams({ grant_type: GRANT_TYPE, device_code, client_id: "a-program" }),
    });
    return { status: answer.status, ...(await answer.json()) };
  };
  const open = async (codes) => {
    await page.goto(codes.verification_uri_complete);
    await page.getByText("Does it show this code?").waitFor();
  };

  test("a person sees code, program and place, and nothing is decided by looking", async () => {
    const codes = await begin({ scope: "read" });
    await open(codes);
    assert.equal(await page.locator("p.user-code").textContent(), codes.user_code);
    await page.getByRole("heading", { name: /a-program.* asks to be signed in as you/ }).waitFor();
    await page.getByText("127.0.0.1").waitFor();
    await page.getByText("read what you can see").waitFor();
    assert.deepEqual(await axe(page), []);
    assert.equal((await poll(codes)).error, "authorization_pending");
    assert.deepEqual(page.complaints, []);
  });

  test("what is approved is signed in with its next poll", async () => {
    const codes = await begin();
    await open(codes);
    await page.getByRole("button", { name: "The code is the same: approve" }).click();
    await page.getByRole("heading", { name: "Approved" }).waitFor();
    assert.deepEqual(await axe(page), []);
    const { status, access_token } = await poll(codes);
    assert.equal(status, 200);
    assert.equal((await stack.call("GET", "/api/auth/me", undefined, { token: access_token })).role, "admin");
    await page.reload();
    await page.getByRole("heading", { name: "Signed in" }).waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("what is denied is told so", async () => {
    const codes = await begin();
    await open(codes);
    await page.getByRole("button", { name: "Deny" }).click();
    await page.getByRole("heading", { name: "Denied" }).waitFor();
    assert.equal((await poll(codes)).error, "access_denied");
  });

  test("a code is typed as people type, and one that is none is said to be none", async () => {
    const codes = await begin();
    await page.goto(`${stack.url}/device`);
    const field = page.getByLabel("Code");
    await field.fill("hello");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("alert").filter({ hasText: "This is not a code" }).waitFor();
    page.refused.push("/api/auth/device/BCDF-GHJK");
    await field.fill("BCDF-GHJK");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("alert").filter({ hasText: "There is no such device code" }).waitFor();
    assert.deepEqual(await axe(page), []);
    await field.fill(codes.user_code.toLowerCase().replace("-", " "));
    await page.keyboard.press("Enter");
    await page.getByText("Does it show this code?").waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("whoever is not signed in signs in first, and the code is still there", async () => {
    const codes = await begin();
    const { url } = await stack.call("POST", "/api/auth/sign-in-links", {});
    const guest = await stack.page({ signedIn: false });
    await guest.goto(codes.verification_uri_complete);
    await guest.getByRole("heading", { name: "Sign in" }).waitFor();
    await guest.getByLabel("Sign-in link").fill(url);
    await guest.getByRole("button", { name: "Sign in" }).click();
    await guest.getByText("Does it show this code?").waitFor();
    assert.equal(await guest.locator("p.user-code").textContent(), codes.user_code);
    await guest.close();
  });

  test("an API token is made with what it may, shown once, and revoked", async () => {
    await page.goto(`${stack.url}/settings`);
    const tokens = page.getByRole("region", { name: "API tokens" });
    await tokens.getByText("You have none.").waitFor();
    await tokens.getByLabel("What is the new token for?").fill("nightly build");
    await tokens.getByRole("checkbox", { name: /^write/ }).uncheck();
    await tokens.getByLabel("It lasts").selectOption({ label: "90 days" });
    await tokens.getByRole("button", { name: "Make a token" }).click();
    const shown = tokens.getByRole("button", { name: /Copy API token/ });
    const secret = await shown.locator("code").textContent();
    assert.match(secret, /^sam_pat_[\w-]{43}$/);
    assert.deepEqual(await axe(page), []);

    const call = (method, where) => stack.call(method, where, undefined, { token: secret });
    assert.deepEqual(await call("GET", "/api/projects"), { projects: [] });
    await assert.rejects(call("POST", "/api/projects"), /scope_too_narrow/);

    await page.reload();
    const row = tokens.getByRole("listitem").filter({ hasText: "nightly build" });
    await row.getByText("read", { exact: true }).waitFor();
    assert.ok(!(await page.content()).includes(secret));
    await row.getByRole("button", { name: "Revoke nightly build" }).click();
    await tokens.getByText("You have none.").waitFor();
    await assert.rejects(call("POST", "/api/projects"), /invalid_token/);
    assert.deepEqual(page.complaints, []);
  });

  test("sessions are listed, and all others are ended", async () => {
    await page.goto(`${stack.url}/settings`);
    const sessions = page.getByRole("region", { name: "Where you are signed in" });
    await sessions.getByText("this one", { exact: true }).waitFor();
    const program = sessions.getByRole("paragraph").filter({ hasText: "a-program" });
    await program.waitFor();
    await sessions.getByRole("button", { name: "End all but this one" }).click();
    await program.waitFor({ state: "detached" });
    assert.equal(await sessions.getByRole("listitem").count(), 1);
    await page.reload();
    await sessions.getByText("this one", { exact: true }).waitFor();
    assert.deepEqual(page.complaints, []);
  });
});
