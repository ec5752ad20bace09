"""Columns and rows of the model card's tables."""

# Titles of the tables' columns, by the name of the figure.
PHOTO_COLUMNS = {
    "people": "people",
    "centre_recall": "centre recall",
    "oks50": "OKS.5",
    "oks75": "OKS.75",
    "pck20": "PCK@0.2",
    "predictions": "predictions",
    "off_person": "off-person",
}
SCENE_COLUMNS = {
    "people": "people",
    "centre_recall": "centre recall",
    "centre_precision": "precision",
    "pck_rel150": "PCK_rel@150",
    "pck_rel150_matched": "of found",
    "mpjpe_mm": "MPJPE mm",
    "pa_mpjpe_mm": "PA-MPJPE mm",
    "ap_root25": "AP_root@25",
}
SIZE_COLUMNS = {
    "network": "network",
    "size": "input",
    "gmac": "GMAC",
    "scene_recall": "rendered: recall",
    "pck_rel150": "PCK_rel@150",
    "mpjpe_mm": "MPJPE mm",
    "centre_recall": "tiny_coco: recall",
    "oks50": "OKS.5",
    "oks75": "OKS.75",
    "predictions": "predictions",
    "off_person": "off-person",
}
TEACHER_COLUMNS = {
    "people": "people",
    "centre_recall": "centre recall",
    "centre_precision": "precision",
    "pck_rel150": "PCK_rel@150",
    "ap_root25": "AP_root@25",
    "common": "common",
    "mpjpe_mm": "MPJPE mm",
    "pa_mpjpe_mm": "PA-MPJPE mm",
    "root_depth_mm": "depth mm",
}
# Figures of the embedding by their title.
EMBEDDING_ROWS = {
    "reconstruction, training clips, mm": "train_mm",
    "reconstruction, validation clips, mm": "val_mm",
    "reconstruction, test clips, mm": "test_mm",
    "the same, 95th percentile, mm": "test_p95_mm",
    "random embeddings within joint limits": "random_within_limits",
    "captured test poses within them": "test_within_limits",
    "spread of embeddings (uniform: 0.577)": "code_std",
}
