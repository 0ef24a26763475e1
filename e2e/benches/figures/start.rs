//! From the start of the server's process to its first 200.

use sam_e2e::{Result, programs};

use crate::bare::{Server, write_worker};
use crate::report::{Aim, Figure};

const SAMPLES: usize = 7;

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let product = programs::worker(false)?;
    let (mut cold, mut warm, mut bare_cold, mut bare_warm) = (vec![], vec![], vec![], vec![]);
    for _ in 0..SAMPLES {
        let directory = tempfile::tempdir()?;
        cold.push(seconds(directory.path(), &product).await?);
        warm.push(seconds(directory.path(), &product).await?);
        let directory = tempfile::tempdir()?;
        let bare = write_worker(directory.path())?;
        bare_cold.push(seconds(directory.path(), &bare).await?);
        bare_warm.push(seconds(directory.path(), &bare).await?);
    }
    let figure = |name, samples, peer| {
        Figure::new(name, "s", samples)
            .beside("bare Worker", peer)
            .aim(Aim::AtMost(0.6))
    };
    Ok(vec![
        figure("cold: no state yet", cold, bare_cold),
        figure("warm", warm, bare_warm),
    ])
}

async fn seconds(directory: &std::path::Path, worker: &std::path::Path) -> Result<f64> {
    Ok(Server::start(directory, worker)
        .await?
        .started_in
        .as_secs_f64())
}
