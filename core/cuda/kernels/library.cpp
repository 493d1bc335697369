#include "cuda/kernels/elements.h"
#include "cuda/kernels/kernels.h"
#include "trellis/plan/error.h"

namespace trellis {

void cuda::launch_failed(const char* what, const char* why) { fail(ExitCode::failure, "{} on the GPU: {}", what, why); }

void add_cuda_kernels(KernelLibrary& library) {
  library.replace("add", cuda::make_add());
  library.replace("attention", cuda::make_attention());
  library.replace("bias", cuda::make_bias());
  library.replace("bias_at", cuda::make_bias_at());
  library.replace("cross_entropy", cuda::make_cross_entropy());
  library.replace("dropout", cuda::make_dropout());
  library.replace("embedding", cuda::make_embedding());
  library.replace("gelu", cuda::make_gelu());
  library.replace("layer_norm", cuda::make_layer_norm());
  library.replace("linear", cuda::make_linear());
  library.replace("multiply", cuda::make_multiply());
  library.replace("pick", cuda::make_pick());
  library.replace("relu", cuda::make_relu());
  library.replace("rms_norm", cuda::make_rms_norm());
  library.replace("rotary", cuda::make_rotary());
  library.replace("scale", cuda::make_scale());
  library.replace("silu", cuda::make_silu());
  library.replace("tanh", cuda::make_tanh());
  library.replace_optimizer(cuda::make_optimizer());
}

}  // namespace trellis
