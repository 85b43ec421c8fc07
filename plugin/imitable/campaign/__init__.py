"""What a campaign is: campaign.toml as a checked model, and the folder that it lies in."""

from imitable.campaign.addresses import origin
from imitable.campaign.config import Campaign, read_config
from imitable.campaign.folder import Folder, open_folder, write_key
from imitable.campaign.material import Corpus, Model, Targets
from imitable.campaign.running import LabelStudio, Pay, Platforms, Pool, Serve, Store, Web

__all__ = [
    "Campaign",
    "Corpus",
    "Folder",
    "LabelStudio",
    "Model",
    "Pay",
    "Platforms",
    "Pool",
    "Serve",
    "Store",
    "Targets",
    "Web",
    "open_folder",
    "origin",
    "read_config",
    "write_key",
]
