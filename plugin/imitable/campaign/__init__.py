"""What a campaign is: campaign.toml as a checked model, and the folder that it lies in."""

from imitable.campaign.config import Campaign, Corpus, Model, Pool, Targets, read_config
from imitable.campaign.folder import Folder, open_folder, write_key

__all__ = ["Campaign", "Corpus", "Folder", "Model", "Pool", "Targets", "open_folder", "read_config", "write_key"]
