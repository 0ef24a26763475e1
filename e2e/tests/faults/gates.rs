//! Places where an agent stands still until a test lets it go on.

use std::path::{Path, PathBuf};

use sam_e2e::conversation::PATIENCE;
use sam_e2e::machine::{self, Running};
use sam_e2e::repository::sample_with;
use sam_e2e::{Result, programs, wait_until};
use serde_json::json;

/// Waits until a program has written its id, and returns it while it runs.
async fn until_written(what: &str, file: &Path) -> Result<Running> {
    wait_until(what, PATIENCE, || async {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let Ok(id) = text.trim().parse() else {
            return Ok(None);
        };
        Ok(machine::process(id))
    })
    .await
}

/// The sample repository with one more test, which stands at a gate: until the gate is open it
/// waits, and so does something that it started and let go.
pub(crate) struct Gate {
    pub(crate) repository: PathBuf,
    open: PathBuf,
    reached: PathBuf,
}

impl Gate {
    pub(crate) fn make(directory: &Path, name: &str) -> Result<Self> {
        let open = directory.join(format!("{name}-open"));
        let reached = directory.join(format!("{name}-reached"));
        let (open_text, reached_text) = (json!(open), json!(reached));
        let test = format!(
            "import {{ spawn }} from 'node:child_process';\n\
             import {{ existsSync, writeFileSync }} from 'node:fs';\n\
             import {{ test }} from 'node:test';\n\
             \n\
             test('the gate is open', async () => {{\n  \
               if (existsSync({open_text})) return;\n  \
               const left = spawn('sleep', ['86400'], {{ detached: true, stdio: 'ignore' }});\n  \
               left.unref();\n  \
               writeFileSync({reached_text}, String(left.pid));\n  \
               while (!existsSync({open_text})) await new Promise((go) => setTimeout(go, 20));\n  \
               process.kill(left.pid);\n  \
               // More than the last page of a file on a full disk may still take.\n  \
               for (let n = 0; n < 100; n += 1) console.log('The gate is open. '.repeat(5));\n\
             }});\n"
        );
        let repository = sample_with(directory, name, |files| {
            files.push(("test/gate.test.js".to_owned(), test));
        })?;
        Ok(Self {
            repository,
            open,
            reached,
        })
    }

    /// Waits until a tool of the agent's stands at the gate; returns what it let go.
    pub(crate) async fn until_reached(&self) -> Result<Running> {
        until_written("the gate is reached", &self.reached).await
    }

    pub(crate) fn open(&self) -> Result {
        Ok(std::fs::write(&self.open, "")?)
    }
}

/// A folder with an agent that waits before it says a word, each time it is started, until it may
/// go on.
pub(crate) struct SlowStart {
    pub(crate) folder: PathBuf,
    open: PathBuf,
    reached: PathBuf,
}

impl SlowStart {
    pub(crate) fn make(directory: &Path) -> Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = directory.join("slow-agent");
        std::fs::create_dir_all(&folder)?;
        let slow = Self {
            open: folder.join("open"),
            reached: folder.join("reached"),
            folder,
        };
        let agent = programs::native("sam-harness")?;
        let script = format!(
            "#!/bin/sh\n\
             echo $$ > '{reached}'\n\
             while [ ! -e '{open}' ]; do sleep 0.05; done\n\
             exec '{agent}' \"$@\"\n",
            reached = slow.reached.display(),
            open = slow.open.display(),
            agent = agent.display(),
        );
        let program = slow.folder.join("sam-harness");
        std::fs::write(&program, script)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        Ok(slow)
    }

    /// Waits until the agent stands still; returns it.
    pub(crate) async fn until_reached(&self) -> Result<Running> {
        until_written("the agent starts", &self.reached).await
    }

    pub(crate) fn open(&self) -> Result {
        Ok(std::fs::write(&self.open, "")?)
    }
}
