"""Exports torchvision's classifiers with random weights as ONNX files, for `scripts/onnx-networks.ts`.

    python3 scripts/reference/make_onnx_models.py FOLDER [NAME ...]

Needs Debian 12's python3-torch (1.13), python3-torchvision (0.14) and python3-onnx. A file is called
NAME.opsetN.{fixed,dynamic}[.plain].onnx: `dynamic` has a batch without a size, `plain` is exported without constant
folding and with BatchNorm as nodes of its own. What torch cannot export at an opset is said and left out.
"""
import sys
import warnings

import torch
import torchvision

warnings.filterwarnings('ignore')

FORMS = [(7, 'fixed'), (9, 'dynamic'), (11, 'fixed'), (11, 'dynamic'), (13, 'dynamic.plain'), (16, 'fixed'),
         (16, 'dynamic'), (16, 'fixed.plain')]
# The large ones take some forms only, which saves the disk.
LARGE = [(9, 'dynamic'), (13, 'dynamic.plain'), (16, 'fixed')]
NETWORKS = {
    'squeezenet1_1': FORMS, 'mobilenet_v2': FORMS, 'mobilenet_v3_small': FORMS, 'shufflenet_v2_x1_0': FORMS,
    'mnasnet1_0': FORMS, 'efficientnet_b0': FORMS, 'googlenet': FORMS, 'resnet18': FORMS, 'densenet121': FORMS,
    'regnet_x_400mf': LARGE, 'resnet50': LARGE, 'inception_v3': LARGE, 'convnext_tiny': LARGE, 'swin_t': LARGE,
    'alexnet': LARGE, 'vgg11': LARGE, 'vit_b_16': LARGE,
}


def make(name):
    """A network with weights that keep signals alive, and BatchNorm statistics that are not 0 and 1."""
    torch.manual_seed(1)
    options = {'aux_logits': False} if name in ('googlenet', 'inception_v3') else {}
    if options:
        options['init_weights'] = False
    network = getattr(torchvision.models, name)(weights=None, **options)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.7, 1.3)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
        # A head that begins with zeros gives zeros.
        if isinstance(module, torch.nn.Linear) and not module.weight.any():
            torch.nn.init.normal_(module.weight, std=0.02)
    return network.eval()


def export(network, path, opset, form):
    """Writes one file; returns the reason why it could not, or None."""
    size = 299 if 'inception' in path else 224
    plain = form.endswith('plain')
    mode = torch.onnx.TrainingMode.PRESERVE if plain else torch.onnx.TrainingMode.EVAL
    try:
        torch.onnx.export(network, torch.randn(1, 3, size, size), path, opset_version=opset, training=mode,
                          do_constant_folding=not plain, input_names=['input'], output_names=['logits'],
                          dynamic_axes={'input': {0: 'batch'}} if form.startswith('dynamic') else None)
    except Exception as error:
        return str(error).strip().split('\n')[0][:120]
    return None


def main(folder, *names):
    torch.set_num_threads(1)
    for name in names or NETWORKS:
        network = make(name)
        for opset, form in NETWORKS[name]:
            path = f'{folder}/{name}.opset{opset}.{form}.onnx'
            reason = export(network, path, opset, form)
            print(path if reason is None else f'{name} at opset {opset} ({form}) is left out: {reason}', flush=True)


main(*sys.argv[1:])
