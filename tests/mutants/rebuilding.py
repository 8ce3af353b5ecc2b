"""Mutants of rebuilding a reader's tables: what is copied, compared and swapped."""

from tests.mutants.mutant import mutant

REBUILD, SHADOW = "servicekit/rebuilding/rebuild.py", "servicekit/rebuilding/shadow.py"
TEST = "delivery/test_rebuild.py"
FORM = f"{TEST}::test_rebuilt_tables_are_the_live_ones_in_form_and_rows_and_the_service_goes_on"

MUTANTS = (
    mutant(
        "indexes-left-out",
        "rebuilt tables have the live ones' form: indexes",
        SHADOW,
        "    for row in definitions:",
        "    for row in definitions[:0]:",
        FORM,
    ),
    mutant(
        "keys-left-out",
        "rebuilt tables have the live ones' form: keys",
        SHADOW,
        "    for key in keys:",
        "    for key in keys[:0]:",
        FORM,
    ),
    mutant(
        "grants-left-out",
        "rebuilt tables have the live ones' form: grants",
        "servicekit/rebuilding/filling.py",
        "        await shadow.grant(self._writer, await shadow.swapped(self._owner, self._projections))\n",
        "",
        FORM,
    ),
    mutant(
        "gap-copied",
        "what is not in order is not copied",
        "servicekit/rebuilding/bulk.py",
        "            if number != before + 1 or (before == 0",
        "            if (before == 0",
        f"{TEST}::test_what_stands_before_a_gap_is_held_by_the_rebuilt_tables_too",
    ),
    mutant(
        "skipped-table-not-read",
        "what was passed over stays so",
        "servicekit/rebuilding/replay.py",
        "WHERE id > $1 ORDER BY id",
        "WHERE id > $1 AND false ORDER BY id",
        f"{TEST}::test_what_was_passed_over_stays_so_though_a_copy_of_it_can_be_read",
    ),
    mutant(
        "held-not-handed-over",
        "what is held back is handed over with the tables",
        REBUILD,
        "                await handover.take_held(keeper, topics)\n",
        "",
        f"{TEST}::test_what_stands_before_a_gap_is_held_by_the_rebuilt_tables_too",
    ),
    mutant(
        "comparison-sees-nothing",
        "rows that are not the same are seen",
        "servicekit/rebuilding/difference.py",
        "            WHERE {missing} OR {both}",
        "            WHERE false",
        f"{TEST}::test_what_the_live_tables_have_wrong_is_named_and_mended_when_that_is_accepted",
    ),
    mutant(
        "not-compared-after-the-lock",
        "what can have moved is compared again while the reader waits",
        REBUILD,
        "            await _compare_moved(keeper, filling, projections, live, result)\n",
        "",
        f"{TEST}::test_numbers_that_the_live_tables_lack_are_named",
    ),
    mutant(
        "swapped-although-different",
        "tables that differ are not swapped unless that is accepted",
        REBUILD,
        "            if not dry_run and (accept or not result.differs):",
        "            if not dry_run:",
        f"{TEST}::test_numbers_that_the_live_tables_lack_are_named",
    ),
    mutant(
        "dry-run-swaps",
        "a dry run changes nothing",
        REBUILD,
        "            if not dry_run and (accept or not result.differs):",
        "            if accept or not result.differs:",
        f"{TEST}::test_a_dry_run_leaves_the_tables_though_nothing_differs",
    ),
    mutant(
        "reader-not-stopped",
        "the reader of topics waits at its position while tables are swapped",
        REBUILD,
        "            await _stop_reader(keeper)\n",
        "",
        f"{TEST}::test_the_reader_waits_at_its_position_while_tables_are_swapped",
    ),
    mutant(
        "position-not-handed-over",
        "the reader goes on behind what was rebuilt",
        REBUILD,
        "                await handover.set_positions(keeper, filling.stands, ids)\n",
        "",
        f"{TEST}::test_a_service_that_has_read_nothing_goes_on_behind_what_was_rebuilt",
    ),
    mutant(
        "circle-ends-the-swap",
        "a swap steps out of a circle with a reader, and is tried again",
        SHADOW,
        "        except (asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError) as error:",
        "        except asyncpg.QueryCanceledError as error:",
        f"{TEST}::test_a_swap_steps_out_of_a_circle_with_a_reader",
    ),
    mutant(
        "old-shadow-in-the-way",
        "the shadow of a rebuild that was killed is dropped by the next",
        SHADOW,
        "        await drop(connection)\n",
        "",
        f"{TEST}::test_a_rebuild_that_is_killed_leaves_everything_as_it_was",
    ),
)
