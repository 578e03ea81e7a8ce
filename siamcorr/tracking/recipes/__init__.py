"""Recipes: what to cut out of a frame for a target, and where the network's maps move it.

A recipe holds numbers and no target: everything goes in and comes out.
"""

from siamcorr.models import Preset
from siamcorr.tracking.recipes.base import Recipe, Step
from siamcorr.tracking.recipes.boxes import BoxRecipe
from siamcorr.tracking.recipes.filter import FilterRecipe
from siamcorr.tracking.recipes.scales import ScaleRecipe

RECIPES: dict[str, type[Recipe]] = {
    "points": BoxRecipe,
    "anchors": BoxRecipe,
    "scales": ScaleRecipe,
    "filter": FilterRecipe,
}

__all__ = ["RECIPES", "BoxRecipe", "FilterRecipe", "Recipe", "ScaleRecipe", "Step", "recipe_of"]


def recipe_of(preset: Preset) -> Recipe:
    """The recipe that a preset names."""
    return RECIPES[preset.recipe.kind](preset)
