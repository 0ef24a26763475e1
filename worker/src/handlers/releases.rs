//! Programs that are handed out: which, and their files, as they lie in object storage.
//!
//! Nothing is compared here: whoever downloads compares what came with the SHA-256 that the release
//! names. A file is kept by nobody without asking again, so that a file and the release that names it
//! fit together.

use sam_domain::error::ApiError;
use sam_domain::release::{Arch, Os, Program, Release};
use sam_platform::r2::{Bodies, BodyName};
use sam_platform::{assets, http};

use crate::call::Call;
use crate::errors::{Answer, Failed, hidden};
use crate::principal::Public;

/// The installer, which is deployed beside the Worker.
const INSTALLER: &str = "/install.sh";

pub(crate) async fn version(call: &Call, _: Public) -> Answer {
    let files = Bodies::of_releases(&call.env)?;
    Ok(http::json(200, &released(&files, program(call)).await?))
}

pub(crate) async fn download(call: &Call, _: Public) -> Answer {
    let program = program(call);
    let (os, arch) = platform(call)?;
    let files = Bodies::of_releases(&call.env)?;
    let release = released(&files, program).await?;
    let Some(download) = release.for_platform(os, arch) else {
        let (name, os, arch) = (program.executable(), os.word(), arch.word());
        let message = format!("{name} is not released for {os}/{arch}.");
        let hint = format!("It is released for {}.", release.platforms());
        return Err(ApiError::new(404, "not_for_platform", message)
            .hint(hint)
            .into());
    };
    let etag = format!("\"{}\"", download.sha256);
    if call.header("if-none-match").as_ref() == Some(&etag) {
        let mut response = http::empty(304);
        response.headers_mut().set("etag", &etag)?;
        return Ok(response);
    }
    let name = BodyName::parse(&download.sha256)?;
    let file = files.get(&name).await?;
    let file = file.ok_or_else(|| hidden(&format!("release/{} is missing", name.as_str())))?;
    Ok(http::streamed(
        200,
        &[
            ("content-type", "application/octet-stream"),
            ("content-length", &file.bytes.to_string()),
            (
                "content-disposition",
                &format!("attachment; filename=\"{}\"", program.executable()),
            ),
            ("x-checksum-sha256", &download.sha256),
            ("x-content-type-options", "nosniff"),
            ("etag", &etag),
            ("cache-control", "public, no-cache"),
        ],
        file.stream,
    ))
}

/// The installer, told where it comes from.
pub(crate) async fn install(call: &Call, _: Public) -> Answer {
    let origin = call.public_url().origin().ascii_serialization();
    // It is put into a shell script.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-[]".contains(&byte);
    if !origin.bytes().all(plain) {
        return Err(ApiError::new(400, "bad_host", "The host's name cannot be used.").into());
    }
    let installer = assets::file(&call.env, INSTALLER).await?;
    let mut installer = installer.ok_or_else(|| hidden(&"install.sh was not deployed"))?;
    let script = format!(
        "#!/bin/sh\n: \"${{SAM_API_URL:={origin}}}\"\n{}",
        installer.text().await?
    );
    Ok(http::bytes(
        200,
        "text/x-shellscript; charset=utf-8",
        script.into_bytes(),
    ))
}

fn program(call: &Call) -> Program {
    match call.url.path().split('/').nth(2) {
        Some("agent") => Program::Agent,
        Some("harness") => Program::Harness,
        _ => Program::Cli,
    }
}

fn platform(call: &Call) -> Result<(Os, Arch), ApiError> {
    let os: Option<String> = call.query("os")?;
    let arch: Option<String> = call.query("arch")?;
    let named = os.and_then(|os| Os::named(&os));
    named
        .zip(arch.and_then(|arch| Arch::named(&arch)))
        .ok_or_else(|| {
            ApiError::new(400, "unknown_platform", "There is no such platform.")
                .hint("`os` is linux or darwin; `arch` is amd64 or arm64.")
        })
}

async fn released(files: &Bodies, program: Program) -> Result<Release, Failed> {
    let document = files.document(&format!("{}.json", program.word())).await?;
    let document = document.ok_or_else(|| {
        ApiError::new(
            404,
            "nothing_released",
            format!("No {} is released here yet.", program.executable()),
        )
        .hint("Who runs the installation releases it with `scripts/release`.")
    })?;
    http::parse_json(document.as_bytes()).map_err(|_| hidden(&"a release cannot be read"))
}
