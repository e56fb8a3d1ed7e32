//! The signer's folder: one folder a property with its keys and its state. Written whole, then renamed: a crash
//! leaves the old or the new.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use latchkey_protocol::ids::PropertyId;

use super::SignerError;

impl From<std::io::Error> for SignerError {
    fn from(error: std::io::Error) -> Self {
        Self::Files(error.to_string())
    }
}

/// Where the signer's files are.
#[derive(Debug, Clone)]
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn open(folder: &Path) -> Result<Self, SignerError> {
        make_folder(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// Makes the folder of a property that has none.
    pub(super) fn make(&self, property: PropertyId) -> Result<(), SignerError> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(self.folder(property))?;
        Ok(File::open(&self.0)?.sync_all()?)
    }

    /// The properties that have keys here.
    pub(super) fn properties(&self) -> Result<Vec<PropertyId>, SignerError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            if let Some(Ok(id)) = entry?.file_name().to_str().map(str::parse) {
                found.push(id);
            }
        }
        Ok(found)
    }

    pub(super) fn read(&self, property: PropertyId, name: &str) -> Result<Vec<u8>, SignerError> {
        Ok(fs::read(self.folder(property).join(name))?)
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, property: PropertyId, name: &str) -> Result<bool, SignerError> {
        Ok(self.folder(property).join(name).try_exists()?)
    }

    /// Holds a property's files against the other instances, until this is dropped.
    pub(super) fn lock(&self, property: PropertyId) -> Result<File, SignerError> {
        let path = self.folder(property).join("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        file.lock()?;
        Ok(file)
    }

    pub(super) fn write(
        &self,
        property: PropertyId,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), SignerError> {
        let folder = self.folder(property);
        let (new, path) = (folder.join(format!("{name}.new")), folder.join(name));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&folder)?.sync_all()?;
        Ok(())
    }

    fn folder(&self, property: PropertyId) -> PathBuf {
        self.0.join(property.to_string())
    }
}

fn make_folder(folder: &Path) -> Result<(), SignerError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    Ok(builder.create(folder)?)
}
