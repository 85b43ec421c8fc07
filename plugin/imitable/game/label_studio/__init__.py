"""The Label Studio door: the game over its ML backends' protocol. A guess is typed, our reply fills the answer."""
