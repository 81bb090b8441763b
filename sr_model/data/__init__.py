"""Training pictures, from folders, lists of pairs and public sets, and patches of them."""

from sr_model.data.photos import ListedFile, Photo, Preparation, evenly, list_files, list_of_pairs, load_photos, split

__all__ = ["ListedFile", "Photo", "Preparation", "evenly", "list_files", "list_of_pairs", "load_photos", "split"]
