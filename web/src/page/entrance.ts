import type { Ways } from "./account.ts";
import type { Around } from "./around.ts";
import { askForm, type Field } from "./form.ts";
import { Problem, why } from "./rest.ts";

const MAX_NAME_UNITS = 60;
const MIN_PASSWORD = 8;
const MAX_PASSWORD = 256;

/** How somebody may come in. */
type Way = "guest" | "sign in" | "register";

/** Whoever comes for the first time says who they are, in a way that this server knows. */
export async function introduced(around: Around): Promise<void> {
  const { account } = around;
  if (account.introduced) return;
  const ways = await account.ways();
  let way: Way = ways.guests ? "guest" : "sign in";
  while (!account.introduced) {
    const next: Way | "done" | null = await ask(way, around, ways, true);
    if (next === null && way === "guest") account.introduce("");
    else if (next === null && ways.guests) way = "guest";
    else if (next !== null && next !== "done") way = next;
  }
}

/** Signs in, or makes an account. True unless the person would rather not. */
export async function enter(around: Around, first: "sign in" | "register"): Promise<boolean> {
  const ways = { ...(await around.account.ways()), guests: false };
  let way: Way = first;
  for (;;) {
    const next: Way | "done" | null = await ask(way, around, ways, false);
    if (next === null) return false;
    if (next === "done") return true;
    way = next;
  }
}

function ask(way: Way, around: Around, ways: Ways, urgent: boolean): Promise<Way | "done" | null> {
  switch (way) {
    case "guest":
      return askGuest(around, ways);
    case "sign in":
      return askSignIn(around, ways, urgent);
    case "register":
      return askRegister(around, ways, urgent);
  }
}

function askGuest({ account }: Around, { registration }: Ways) {
  return askForm<Way>({
    heading: "Welcome to Collab",
    explanation: "Write with others, in the same text, at the same time. Who should they see?",
    fields: [nameField("")],
    action: "Start",
    instead: [["sign in", "Sign in"], ...(registration ? [CREATE] : [])],
    urgent: true,
    submit: ({ name }) => account.introduce(name ?? ""),
  });
}

function askSignIn(around: Around, { guests, registration }: Ways, urgent: boolean) {
  const { account } = around;
  // Of a guest nothing comes along: better said before than after.
  const leaves = account.introduced && account.username === null;
  const warning =
    "You go on as the person with that account. What you made as a guest stays the guest's: to " +
    "keep it, create an account instead.";
  return askForm<Way>({
    heading: "Sign in",
    explanation: leaves ? warning : "With the username and the password of your account.",
    fields: [
      usernameField(account.username ?? ""),
      { name: "password", label: "Password", type: "password", autocomplete: "current-password" },
    ],
    action: "Sign in",
    instead: [...(guests ? [AS_GUEST] : []), ...(registration ? [CREATE] : [])],
    urgent,
    submit: async ({ username = "", password = "" }) => {
      if (await account.signIn(username, password)) around.begunAnew();
    },
    explain: (error) =>
      error instanceof Problem && error.status === 401
        ? "The username or the password is not right."
        : why(error),
  });
}

function askRegister(around: Around, { guests }: Ways, urgent: boolean) {
  const { account } = around;
  const guest = account.introduced && account.username === null;
  return askForm<Way>({
    heading: "Create an account",
    explanation: guest
      ? "Your documents come along, and you can sign in from anywhere."
      : "Others see your name. You sign in with your username.",
    fields: [
      nameField(guest ? account.name : ""),
      {
        ...usernameField(""),
        hint: "At least 3 letters, digits or . _ @ + -. Others can share documents with you by it.",
        minlength: 3,
        maxlength: 64,
        pattern: "[A-Za-z0-9._@+\\-]*",
      },
      newPasswordField(),
    ],
    action: "Create",
    instead: [["sign in", "Sign in"], ...(guests ? [AS_GUEST] : [])],
    urgent,
    submit: async ({ username = "", password = "", name = "" }) => {
      if (await account.register({ username, password, name })) around.begunAnew();
    },
    explain: (error) =>
      error instanceof Problem && error.code === "username_taken"
        ? "Somebody else has this username. Take another one."
        : why(error),
  });
}

/** True if it is another one now. */
export async function changedPassword({ account, notices }: Around): Promise<boolean> {
  const done = await askForm({
    heading: "Change your password",
    explanation: "You stay signed in here, and are signed out everywhere else.",
    fields: [
      {
        name: "current",
        label: "Your password until now",
        type: "password",
        autocomplete: "current-password",
      },
      newPasswordField(),
    ],
    action: "Change it",
    submit: ({ current = "", password = "" }) => account.changePassword(current, password),
    explain: (error) =>
      error instanceof Problem && error.code === "wrong_password"
        ? "Your password until now is another one."
        : why(error),
  });
  if (done === "done") notices.show("Your password is changed.");
  return done === "done";
}

/** A name to be seen by others. */
export function nameField(value: string): Field {
  return {
    name: "name",
    label: "Your name",
    autocomplete: "nickname",
    maxlength: MAX_NAME_UNITS,
    value,
  };
}

function usernameField(value: string): Field {
  return { name: "username", label: "Username", autocomplete: "username", value };
}

function newPasswordField(): Field {
  return {
    name: "password",
    label: "New password",
    type: "password",
    autocomplete: "new-password",
    hint: `At least ${MIN_PASSWORD} characters, and not your username.`,
    minlength: MIN_PASSWORD,
    maxlength: MAX_PASSWORD,
  };
}

const CREATE = ["register", "Create an account"] as const;
const AS_GUEST = ["guest", "Come as a guest"] as const;
