"""The ATen operators that a .pt2 file may call: inference without random, complex or file operations."""

from __future__ import annotations

import re

_TARGET = re.compile(
    r"torch\.ops\.aten\.(?P<name>[a-z_][A-Za-z0-9_]{0,60})\.(?P<overload>[A-Za-z][A-Za-z0-9_]{0,60})"
)
_GETITEM = "_operator.getitem"

# Names without overload; each may also be called in place, as `relu_` for `relu`.
_NAMES = """
__and__ __lshift__ __or__ __rshift__ __xor__ _adaptive_avg_pool2d _adaptive_avg_pool3d _assert_tensor_metadata
_convolution _log_softmax _native_batch_norm_legit _native_batch_norm_legit_no_training _prelu_kernel
_safe_softmax _scaled_dot_product_attention_math _scaled_dot_product_efficient_attention
_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu _softmax _to_copy
_unsafe_index _unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d
_upsample_nearest_exact2d _weight_norm _weight_norm_interface abs absolute acos acosh adaptive_avg_pool1d
adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add addbmm
addcdiv addcmul addmm addmv addr affine_grid_generator alias alias_copy all alpha_dropout amax amin aminmax
any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort as_strided asin asinh
atan atan2 atanh atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bilinear
bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor block_diag bmm
broadcast_tensors broadcast_to bucketize cat cdist ceil celu channel_shuffle chunk clamp clamp_max clamp_min
clip clone col2im column_stack concat concatenate constant_pad_nd contiguous conv1d conv2d conv3d
conv_transpose1d conv_transpose2d conv_transpose3d convolution copy copysign cos cosh cosine_similarity
count_nonzero cross cudnn_batch_norm cummax cummin cumprod cumsum deg2rad detach detach_copy diag diag_embed
diagonal diagonal_copy diff dist div divide dot dropout dropout2d dstack einsum elu embedding empty empty_like
empty_strided eq equal erf erfc exp exp2 expand expand_as expand_copy expm1 eye feature_alpha_dropout
feature_dropout fill fix flatten flip fliplr flipud float_power floor floor_divide fmax fmin fmod frac
frobenius_norm full full_like gather ge gelu ger glu greater greater_equal grid_sampler grid_sampler_2d
grid_sampler_3d group_norm gru gru_cell gt hardshrink hardsigmoid hardswish hardtanh heaviside hstack hypot
im2col index index_add index_copy index_fill index_put index_select inner instance_norm inverse isfinite isin
isinf isnan isneginf isposinf kron layer_norm ldexp le leaky_relu lerp less less_equal lift lift_fresh
lift_fresh_copy linalg_cross linalg_det linalg_inv linalg_matmul linalg_matrix_norm linalg_norm
linalg_vector_norm linear linspace log log10 log1p log2 log_sigmoid log_softmax logaddexp logaddexp2
logcumsumexp logical_and logical_not logical_or logical_xor logit logsumexp lstm lstm_cell lt mH mT
masked_fill masked_scatter matmul matrix_H max max_pool1d max_pool1d_with_indices max_pool2d
max_pool2d_with_indices max_pool3d max_pool3d_with_indices maximum mean meshgrid min minimum mish
mkldnn_rnn_layer mm moveaxis movedim mul multiply mv nan_to_num nanmean nansum narrow narrow_copy
native_batch_norm native_channel_shuffle native_dropout native_group_norm native_layer_norm ne neg negative
new_empty new_empty_strided new_full new_ones new_zeros norm not_equal numpy_T one_hot ones ones_like outer
pad pairwise_distance permute permute_copy pixel_shuffle pixel_unshuffle positive pow prelu prod rad2deg ravel
reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 remainder repeat repeat_interleave
replication_pad1d replication_pad2d replication_pad3d reshape reshape_as resolve_conj resolve_neg rms_norm
rnn_relu rnn_tanh roll rot90 round row_stack rrelu rsqrt rsub scalar_tensor scaled_dot_product_attention
scatter scatter_add scatter_reduce select select_copy select_scatter selu sgn sigmoid sign signbit silu sin
sinc sinh slice slice_copy slice_scatter softmax softplus softshrink sort special_erf special_erfc
special_expit special_expm1 special_log1p special_log_softmax special_logit special_logsumexp special_round
special_sinc special_softmax split split_copy split_with_sizes split_with_sizes_copy sqrt square squeeze
squeeze_copy stack std std_mean sub subtract sum sum_to_size swapaxes swapdims t t_copy take take_along_dim
tan tanh tensor_split tensordot thnn_conv2d threshold tile to topk transpose transpose_copy tril tril_indices
triu triu_indices true_divide trunc type_as unbind unbind_copy unflatten unfold unfold_copy unsafe_chunk
unsafe_split unsafe_split_with_sizes unsqueeze unsqueeze_copy upsample_bicubic2d upsample_bilinear2d
upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d var var_mean
vdot view view_as view_copy vstack where xlogy zero zeros zeros_like
"""
OPERATORS = frozenset(_NAMES.split())


def is_operator(target: str) -> bool:
    """Return whether a target is one of OPERATORS, in place or not, or selects one of several results."""
    if target == _GETITEM:
        return True
    found = _TARGET.fullmatch(target)
    return found is not None and (found["name"] in OPERATORS or found["name"].removesuffix("_") in OPERATORS)
