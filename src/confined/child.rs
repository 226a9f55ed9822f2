//! The child's side: takes the job, gives up everything else, does it, answers.

use std::fs::File;
use std::io::{IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use cap_std::fs::Dir;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::archive::ArchiveSink;
use super::fence;
use super::job::{Answer, Bounds, Job, Report};
use super::sink::FolderSink;
use super::{tree, unarchive};
use crate::folders::FolderError;
use crate::folders::stop::{Outcome, refuse};

/// No person types it, so it is not among the commands.
pub(super) const VERB: &str = "__confined";

/// A job is smaller by far.
const MOST_ASKED: usize = 4 << 10;

/// Whether this process was started to do one job, and how it went. To be asked before anything else is done.
#[must_use]
pub fn run_if_asked() -> Option<ExitCode> {
    if std::env::args_os().nth(1)?.to_str()? != VERB {
        return None;
    }
    let answer = match receive().map(|(job, descriptors)| work(&job, descriptors)) {
        Ok(Ok(report)) => Answer::Done(report),
        Ok(Err(stop)) => Answer::Refused(FolderError::from(stop).to_string()),
        Err(why) => Answer::Refused(why),
    };
    let text = serde_json::to_vec(&answer).unwrap_or_default();
    match std::io::stdout().write_all(&text) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(_) => Some(ExitCode::FAILURE),
    }
}

fn receive() -> Result<(Job, Vec<OwnedFd>), String> {
    let mut text = vec![0; MOST_ASKED];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut text)];
    let received = recvmsg(rustix::stdio::stdin(), &mut slices, &mut beside, RecvFlags::CMSG_CLOEXEC)
        .map_err(|_| "this is started by the daemon only".to_owned())?;
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let job =
        serde_json::from_slice(&text[..received.bytes]).map_err(|error| format!("the job cannot be read: {error}"))?;
    Ok((job, descriptors))
}

fn work(job: &Job, descriptors: Vec<OwnedFd>) -> Outcome<Report> {
    let fence = fence::close(job.bounds(), &descriptors)?;
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().ok_or_else(|| refuse("a descriptor is missing"));
    let mut report = match job {
        Job::Copy { bounds } => {
            let (from, into) = (Dir::from(next()?), Dir::from(next()?));
            tree::take(&from, &mut FolderSink::new(into)?, *bounds, fence)?
        }
        Job::Archive { part, bounds } => {
            let (from, scratch, output) = (Dir::from(next()?), Dir::from(next()?), File::from(next()?));
            let mut sink = ArchiveSink::new(*part, scratch, output)?;
            let report = tree::take(&from, &mut sink, *bounds, fence)?;
            sink.finish()?;
            report
        }
        Job::Check { bounds } => read(next()?, None, *bounds)?,
        Job::Unpack { bounds } => {
            let archive = next()?;
            read(archive, Some(Dir::from(next()?)), *bounds)?
        }
    };
    report.fenced = fence == fence::Fence::Closed;
    Ok(report)
}

fn read(archive: OwnedFd, into: Option<Dir>, bounds: Bounds) -> Outcome<Report> {
    let mut archive = File::from(archive);
    let report = unarchive::judge(&mut archive, bounds)?;
    match into {
        Some(into) => unarchive::unpack(&mut archive, &into, report, bounds),
        None => Ok(report),
    }
}
