"""What a course on convolutional networks goes through, and which tests prove it of this library.

A topic without a test fails, and so does a test that is not there.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
COURSE = "graphcnn/test_course.py"
VALUES = "graphcnn/ops/test_values.py::test_an_op_computes_its_formula"
TORCH = "graphcnn/ops/test_torch.py::test_an_op_agrees_with_pytorch"

TOPICS: dict[str, tuple[str, ...]] = {
    "perceptron and linear classifier": (
        f"{COURSE}::test_a_bias_is_the_weight_of_a_pixel_that_is_always_one",
        f"{COURSE}::test_a_step_has_no_slope_to_follow",
    ),
    "scores by a matrix product": (
        f"{COURSE}::test_weights_the_wrong_way_round_are_refused_with_the_right_way",
    ),
    "softmax and cross-entropy": (
        "graphcnn/ops/test_edges.py::test_cross_entropy_of_extreme_scores_is_exact",
        "graphcnn/ops/test_edges.py::test_one_class_costs_nothing_and_no_rows_make_no_losses",
        "graphcnn/ops/test_edges.py::test_ten_equal_scores_cost_log_ten_and_a_hinge_of_nine",
        "graphcnn/ops/test_symbolic.py::test_the_gradient_of_cross_entropy_is_p_minus_one_hot",
    ),
    "L2 regularisation": (
        f"{COURSE}::test_the_price_of_weights_is_summed_over_all_and_its_slope_is_twice_lambda_times_them",
        f"{COURSE}::test_weight_decay_is_twice_lambda",
    ),
    "the full loss": (
        f"{COURSE}::test_the_price_is_added_once_however_many_images_there_are",
        "graphcnn/ops/test_networks.py::test_a_network_has_the_gradient_of_each_batch_size",
    ),
    "the state of RMSProp": (
        "graphcnn/test_optim.py::test_first_rmsprop_step_has_the_size_that_its_text_says",
        "graphcnn/test_optim.py::test_state_has_the_dtype_and_shape_of_its_parameter",
    ),
    "the update of RMSProp, ε outside and inside": (
        "graphcnn/test_optim.py::test_equals_its_formula",
        "graphcnn/test_optim.py::test_equals_pytorch",
    ),
    "multiclass hinge loss": (
        "graphcnn/ops/test_edges.py::test_ten_equal_scores_cost_log_ten_and_a_hinge_of_nine",
        "graphcnn/ops/test_edges.py::test_a_kink_has_the_gradient_in_the_table",
        VALUES,
        TORCH,
    ),
    "ReLU and other activations": (
        "graphcnn/ops/test_edges.py::test_a_kink_has_the_gradient_in_the_table",
        "graphcnn/ops/test_values.py::test_a_nan_stays_where_numpy_keeps_it",
        "graphcnn/ops/test_compiled.py::test_what_is_not_finite_stays_where_the_interpreter_has_it",
    ),
    "a node and its local gradients": (
        "graphcnn/draw/test_formulas.py::test_local_gradient",
        "graphcnn/ops/test_networks.py::test_a_value_used_twice_gathers_both_gradients",
    ),
    "the upstream gradient": (
        f"{COURSE}::test_what_is_no_number_needs_an_upstream_gradient",
        "graphcnn/draw/test_draw.py::test_what_is_downstream_of_one_op_is_upstream_of_the_next",
    ),
    "downstream is local times upstream": (
        f"{COURSE}::test_gradients_are_summed_over_axes_that_were_broadcast_and_zero_where_nothing_leads",
        "graphcnn/ops/test_gradients.py::test_a_gradient_is_the_slope",
        "graphcnn/ops/test_networks.py::test_a_stopped_gradient_passes_on_the_other_path_only",
        "graphcnn/draw/test_draw.py::test_a_value_with_several_consumers_gets_a_sum",
    ),
    "the flow charts of a product": (
        "graphcnn/draw/test_draw.py::test_the_notes_chart_of_a_product",
        "graphcnn/draw/test_labels.py::test_any_names_give_well_formed_dot_and_svg",
        "graphcnn/draw/test_draw.py::test_a_thousand_nodes_draw_in_a_second",
        "graphcnn/draw/test_mermaid.py::test_the_two_charts_of_a_product",
        "graphcnn/draw/test_mermaid.py::test_any_name_stays_text",
    ),
    "gates that add, swap, route and copy": (f"{COURSE}::test_gates",),
    "fully connected against convolutional": (
        f"{COURSE}::test_a_full_layer_does_not_care_where_pixels_are_and_a_convolution_does",
    ),
    "what parameters and work cost": (
        "graphcnn/test_costs.py::test_a_convolution_has_few_parameters_and_a_full_layer_many",
    ),
    "a convolution as a sparse matrix": (
        "graphcnn/test_sizes.py::test_a_convolution_is_a_sparse_matrix",
        "graphcnn/ops/test_linear.py::test_the_gradient_is_the_exact_adjoint",
    ),
    "three kinds of layers": (
        "graphcnn/test_costs.py::test_the_second_layer_and_the_sum_of_all",
        "codegen/test_threads.py::test_a_step_on_three_threads_is_the_interpreter",
    ),
    "convolution and cross-correlation": (
        f"{COURSE}::test_what_networks_call_convolution_turned_round_is_convolution",
    ),
    "kernels and what they show": (f"{COURSE}::test_kernels_on_a_ramp",),
    "sliding a window": (f"{COURSE}::test_each_number_of_a_map_is_75_products_and_a_bias", VALUES),
    "one filter": (f"{COURSE}::test_each_number_of_a_map_is_75_products_and_a_bias",),
    "six filters, groups, depthwise": (
        f"{COURSE}::test_each_number_of_a_map_is_75_products_and_a_bias",
        "graphcnn/ops/test_engine.py::test_layers_in_c_are_the_interpreter",
        TORCH,
    ),
    "the general layer": (
        "graphcnn/test_sizes.py::test_the_formula_is_what_layers_do",
        f"{COURSE}::test_sizes_may_be_symbols_and_a_kernel_of_one_keeps_them",
        "graphcnn/ops/test_refusals.py::test_shapes_that_do_not_fit",
    ),
    "a chain of layers": ("graphcnn/test_costs.py::test_the_second_layer_and_the_sum_of_all",),
    "activation maps": (f"{COURSE}::test_a_map_and_its_activation_are_two_nodes_and_one_function",),
    "maps shrink": (
        "graphcnn/test_sizes.py::test_the_formula_of_the_lecture",
        f"{COURSE}::test_sizes_may_be_symbols_and_a_kernel_of_one_keeps_them",
    ),
    "padding and its kinds": (
        f"{COURSE}::test_borders_of_every_kind_give_back_all_that_they_took",
        "graphcnn/test_sizes.py::test_same_padding_keeps_the_size",
        TORCH,
    ),
    "how much padding keeps the size": (
        "graphcnn/test_sizes.py::test_padding_as_much_as_the_kernel_makes_maps_grow",
        "graphcnn/test_sizes.py::test_lint_sees_a_ring_that_sees_only_padding",
        "graphcnn/test_sizes.py::test_same_padding_keeps_the_size",
    ),
    "stride": (
        "graphcnn/ops/test_edges.py::test_an_input_column_that_no_window_reaches_has_no_gradient",
        "graphcnn/test_sizes.py::test_lint_sees_pixels_that_nobody_looks_at",
    ),
    "pooling": (
        f"{COURSE}::test_pooling_takes_the_first_of_equals_and_drops_what_is_left_over",
        VALUES,
        TORCH,
    ),
    "receptive fields": (
        "graphcnn/test_receptive.py::test_fields_of_well_known_stacks",
        "graphcnn/test_receptive.py::test_an_element_sees_where_its_gradient_is_not_zero",
    ),
    "going back through a convolution": (
        f"{COURSE}::test_going_back_through_a_convolution_is_two_more",
        "graphcnn/ops/test_linear.py::test_the_gradient_is_the_exact_adjoint",
    ),
    "initial values, mini-batches, epochs": (
        "graphcnn/test_init.py::test_mean_is_zero_and_variance_is_the_sources",
        "graphcnn/test_fit.py::test_an_epoch_has_every_row_once_and_rows_stay_together",
        "graphcnn/test_fit.py::test_the_same_seed_trains_the_same_network",
        "graphcnn/test_fit.py::test_a_network_that_starts_at_zero_learns_nothing",
    ),
}  # fmt: skip
COUNT = 34


@cache
def names_of(path: Path) -> frozenset[str]:
    """Give the names of the tests in a file that run by default: not those of long runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return frozenset(f.name for f in functions if f.name.startswith("test_") and not is_long(f))


def is_long(function: ast.FunctionDef) -> bool:
    return any("mark.long" in ast.unparse(d) for d in function.decorator_list)


def complaints(topics: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for topic, proofs in topics.items():
        if not proofs:
            yield f"nothing proves {topic!r}"
        for proof in proofs:
            path, _, name = proof.partition("::")
            if not (TESTS / path).is_file() or name not in names_of(TESTS / path):
                yield f"{topic!r} is to be proved by {proof}, which is not there"


def test_every_topic_is_proved_by_tests_that_exist() -> None:
    assert len(TOPICS) == COUNT
    assert not [*complaints(TOPICS)]


@pytest.mark.parametrize(
    "proofs",
    [
        (),
        (f"{COURSE}::test_that_is_not_there",),
        ("nowhere.py::test_gates",),
        ("graphcnn/ops/test_linear.py::test_ten_thousand_convolutions_are_exact_adjoints",),
    ],
    ids=["none", "no such test", "no such file", "long runs only"],
)
def test_what_is_missing_is_noticed(proofs: tuple[str, ...]) -> None:
    assert len([*complaints({"stride": proofs})]) == 1
