"""How scans are found, listed and read."""

from typing import TYPE_CHECKING

from bundle.tat.lazy import export_lazily

if TYPE_CHECKING:
    from bundle.tat.data.datalist import Found as Found
    from bundle.tat.data.datalist import find_scan_paths as find_scan_paths
    from bundle.tat.data.datalist import find_scans as find_scans
    from bundle.tat.data.datalist import read_datalist as read_datalist
    from bundle.tat.data.layouts.check_pairs import check_pairs as check_pairs
    from bundle.tat.data.sampler import SampleKey as SampleKey
    from bundle.tat.data.sampler import SeededSampleDataset as SeededSampleDataset
    from bundle.tat.data.sampler import TaskBalancedBatchSampler as TaskBalancedBatchSampler
    from bundle.tat.data.scan_info import ScanInfo as ScanInfo
    from bundle.tat.data.scan_info import read_scan_info as read_scan_info
else:
    __getattr__, __dir__, __all__ = export_lazily(__name__)
