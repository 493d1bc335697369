# device: cuda where there is no GPU: refused with the reason before anything is written.
if ! nvidia-smi > /dev/null 2>&1; then
  quick=configs/runs/quickstart.yaml
  refuse 8 "device: cuda " train $quick --nproc 1 devices.kind=cuda "output=$work/trained"
  absent "$work/trained"
  refuse 8 "device: cuda " verify $quick --random 1 --ranks 1 devices.kind=cuda
fi
