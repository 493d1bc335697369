# devices.kind: cuda where there is no GPU: refused with the reason before anything is written.
if ! nvidia-smi > /dev/null 2>&1; then
  quick=configs/runs/quickstart.yaml
  refuse 8 "devices.kind: cuda " train $quick --nproc 1 devices.kind=cuda "output=$work/trained"
  absent "$work/trained"
  refuse 8 "devices.kind: cuda " verify $quick --random 1 --ranks 1 devices.kind=cuda
fi
