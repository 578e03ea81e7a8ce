"""Recipes: which crops to cut for a target, and how to decode the network's maps.

A recipe holds settings but no target: targets are arguments and results.
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
    """Build the recipe that a preset names."""
    return RECIPES[preset.recipe.kind](preset)
