# Where nothing fits the JSON is written all the same, and says so.
refuse 3 "no plan fits in" search configs/runs/quickstart.yaml search.budget=1MiB --nproc 2 --json "$work/none.json" --out "$work/none.yaml"
absent "$work/none.yaml"
grep -q '"throughput": null' "$work/none.json" || { echo "an infeasible search wrote no throughput of null"; failed=1; }
grep -q '"status": "infeasible"' "$work/none.json" || { echo "an infeasible search did not write its status"; failed=1; }

# Plans of other systems.
refuse 2 "no plugin knows a plan format 'galvatrons'" plan import configs/runs/quickstart.yaml --format galvatrons --out "$work/plan.yaml"
refuse 2 "--format is required" plan import configs/runs/quickstart.yaml --out "$work/plan.yaml"
