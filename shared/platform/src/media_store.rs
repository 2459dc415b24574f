//! Where copies of files are kept: a folder, or a bucket.

use object_store::{ObjectStore, ObjectStoreExt, buffered::BufWriter, local::LocalFileSystem, path::Path, prefix::PrefixStore};
use std::sync::Arc;

pub use object_store::{Error as MediaError, GetResult};

/// The store, cheap to clone.
#[derive(Clone, Debug)]
pub struct MediaStore(Arc<dyn ObjectStore>);

impl MediaStore {
    /// `location`: a folder, which is made if it is not there, or `s3://bucket/prefix` (in a build with the feature `s3`; its credentials are those of the
    /// environment, `AWS_ACCESS_KEY_ID` and so on).
    pub fn open(location: &str) -> Result<Self, MediaError> {
        if location.contains("://") {
            let url = reqwest::Url::parse(location).map_err(|error| unusable(location, Box::new(error)))?;
            let (store, prefix) = object_store::parse_url_opts(&url, std::env::vars().filter(|(name, _)| name.starts_with("AWS_")))?;
            return Ok(Self(Arc::new(PrefixStore::new(store, prefix))));
        }
        std::fs::create_dir_all(location).map_err(|error| unusable(location, Box::new(error)))?;
        Ok(Self(Arc::new(LocalFileSystem::new_with_prefix(location)?)))
    }

    /// Writes a file. It is there when the writer was shut down, and not before.
    pub fn writer(&self, key: &str) -> BufWriter {
        BufWriter::new(self.0.clone(), Path::from(key))
    }

    /// Removes a file. One that is not there is removed already.
    pub async fn remove(&self, key: &str) -> Result<(), MediaError> {
        match self.0.delete(&Path::from(key)).await {
            Ok(()) | Err(MediaError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A file. `None`: there is none.
    pub async fn get(&self, key: &str) -> Result<Option<GetResult>, MediaError> {
        match self.0.get(&Path::from(key)).await {
            Ok(found) => Ok(Some(found)),
            Err(MediaError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn unusable(location: &str, source: Box<dyn std::error::Error + Send + Sync>) -> MediaError {
    tracing::error!(location, %source, "MEDIA_STORE cannot be used: give a folder that can be written, or s3://bucket/prefix");
    MediaError::Generic { store: "MEDIA_STORE", source }
}
