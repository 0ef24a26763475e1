//! Commands and events of the node link, as its machine asks for them.

use super::{Store, Stored, from_sql, to_sql};
use rusqlite::{Transaction, params};
use sam_domain::link::agent_end::{self, Write};

impl Store {
    /// What the link's machine is restored from.
    pub(crate) fn link(&self) -> Stored<agent_end::Stored> {
        let connection = self.lock();
        let mut stored = agent_end::Stored::default();
        let mut commands = connection.prepare("SELECT json FROM command ORDER BY place")?;
        let mut rows = commands.query([])?;
        while let Some(row) = rows.next()? {
            stored
                .commands
                .push(serde_json::from_str(&row.get::<_, String>(0)?)?);
        }
        let mut finished = connection.prepare("SELECT command, event FROM finished")?;
        let mut rows = finished.query([])?;
        while let Some(row) = rows.next()? {
            if let Ok(command) = row.get::<_, String>(0)?.parse() {
                stored.finished.insert(command, from_sql(row.get(1)?));
            }
        }
        let mut events = connection.prepare("SELECT json FROM event ORDER BY n")?;
        let mut rows = events.query([])?;
        while let Some(row) = rows.next()? {
            stored
                .events
                .push(serde_json::from_str(&row.get::<_, String>(0)?)?);
        }
        stored.next_event = super::meta(&connection, "next_event")?
            .and_then(|n| n.parse().ok())
            .unwrap_or(1);
        Ok(stored)
    }
}

/// Performs one write within a transaction.
pub(crate) fn apply(tx: &Transaction<'_>, write: &Write) -> Stored<()> {
    match write {
        Write::PutCommand(command) => {
            tx.execute(
                "INSERT OR IGNORE INTO command(id, json) VALUES(?1, ?2)",
                params![command.id.to_string(), serde_json::to_string(command)?],
            )?;
        }
        Write::FinishCommand { command, event } => {
            tx.execute("DELETE FROM command WHERE id = ?1", [command.to_string()])?;
            tx.execute(
                "INSERT OR REPLACE INTO finished(command, event) VALUES(?1, ?2)",
                params![command.to_string(), to_sql(*event)],
            )?;
        }
        Write::ForgetFinishedThrough(n) => {
            tx.execute("DELETE FROM finished WHERE event <= ?1", [to_sql(*n)])?;
        }
        Write::PutEvent(event) => {
            tx.execute(
                "INSERT OR REPLACE INTO event(n, json) VALUES(?1, ?2)",
                params![to_sql(event.n), serde_json::to_string(event)?],
            )?;
            // Kept by itself: numbers are never reused, even when no event is held.
            super::put_meta(tx, "next_event", &(event.n + 1).to_string())?;
        }
        Write::DropEventsThrough(n) => {
            tx.execute("DELETE FROM event WHERE n <= ?1", [to_sql(*n)])?;
            let next = super::meta(tx, "next_event")?
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(1);
            super::put_meta(tx, "next_event", &next.max(n + 1).to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_domain::id::{CommandId, Id, WorkspaceId};
    use sam_domain::link::frame::{Action, Command, Event, EventFrame};
    use sam_domain::time::{Millis, Timestamp};

    /// The disk must agree with the domain's own model of it after any writes.
    #[test]
    fn the_disk_does_what_the_model_of_the_disk_does() {
        let dir = tempfile::tempdir().expect("dir");
        let mut model = agent_end::Stored {
            next_event: 1,
            ..agent_end::Stored::default()
        };
        let command = |seed: u128| Command {
            id: CommandId::mint(Timestamp(1), seed),
            workspace: WorkspaceId::mint(Timestamp(1), 1),
            attempt: 1,
            remaining: Millis::seconds(5),
            action: Action::StopAgent,
        };
        let event = |n| EventFrame {
            n,
            workspace: None,
            attempt: 1,
            at: Timestamp(n),
            event: Event::WorkspacePhase {
                phase: format!("p{n}"),
            },
        };
        let batches = [
            vec![Write::PutCommand(command(9)), Write::PutCommand(command(3))],
            vec![Write::PutCommand(command(9)), Write::PutEvent(event(1))],
            vec![
                Write::PutEvent(event(2)),
                Write::FinishCommand {
                    command: command(9).id,
                    event: 2,
                },
            ],
            vec![Write::DropEventsThrough(1), Write::ForgetFinishedThrough(1)],
            vec![Write::DropEventsThrough(2), Write::ForgetFinishedThrough(2)],
            vec![Write::DropEventsThrough(7), Write::PutEvent(event(8))],
        ];
        for batch in batches {
            let store = Store::open(dir.path()).expect("opens");
            store
                .transaction(|tx| batch.iter().try_for_each(|write| apply(tx, write)))
                .expect("written");
            batch.iter().for_each(|write| model.apply(write));
            assert_eq!(store.link().expect("read"), model);
        }
    }
}
